"""What updates and judges, as it stands on the gateway: Python's own library alone, run by root."""
