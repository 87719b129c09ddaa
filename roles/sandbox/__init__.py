"""Around the daemons: stops an attacker who broke into one of them from going further than that daemon has to."""
