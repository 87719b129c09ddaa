"""What a gateway is: settings, defences, and the layers that put them on a host."""
