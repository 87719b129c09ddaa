"""ClamAV: stops known malicious content, however it is encoded or packed."""
