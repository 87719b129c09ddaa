"""The ledger: every message and what became of it, and the messages that are kept.

The attack it stops: mail that disappears without a trace. A message is accepted only when its record, and its content
where it is to be kept, are on the disk.
"""
