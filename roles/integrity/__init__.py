"""Integrity: stops that a change of the system stays unseen: who has broken in leaves something there to come back by."""
