"""The filter daemon of the Bastide gateway: refuses bad mail inside the SMTP session.

The attack it stops: malware and spam handed to the mail server behind the gateway. A message is judged
before the MTA has accepted it, so nothing is bounced to forged senders and nothing is lost after a 250.
"""

__version__ = "0.1.0"
