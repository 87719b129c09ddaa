"""Scanners of others: a second opinion on a gateway that was hardened by records of our own.

Beside the audit and not in it: the audit asks and looks, and changes nothing; a scanner wants programs on the host, which are
installed for the length of a scan. Nothing in a deploy depends on what they say, and none of their figures counts unless mail
flows before and after (`audit.scanners.mail`).
"""
