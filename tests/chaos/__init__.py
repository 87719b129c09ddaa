"""Reliability, shown: the daemon as real processes with a real ledger and store, and somebody who breaks them.

The attack it stops: a message that was accepted and is nowhere. Fake engines and a fake MTA stand beside the daemon;
what the client of the milter protocol saw is held against the ledger's rows, the store's contents and the MTA's
letters, message by message (``account``).
"""
