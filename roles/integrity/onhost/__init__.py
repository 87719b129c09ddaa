"""Runs on the gateway, with Python's own library alone: has the engine look, and explains what it finds or says that nobody does."""
