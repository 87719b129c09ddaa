"""The operating system: stops an attacker who reached the host's kernel or its remote login from going further."""
