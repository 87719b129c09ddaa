"""Carries out what the policy has decided: variants, the store, injected mail, notices, the milter's replies.

The attack it stops: mail that is lost between "accepted" and "kept". Everything is on disk or with the MTA before the
sender is told 250; whatever fails on the way is answered "try again later".
"""
