"""What the administrator must publish by DNS, and whether it is there: `python -m publish INVENTORY`.

The attack it stops: mail in a domain's name from anybody, mail to it past the gateway or in clear, for want of a record.
"""
