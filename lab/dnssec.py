"""Signatures over the lab's zones: one key for all of them, made anew from its name each time.

It protects nothing: whoever reads this file can sign with it, and no resolver outside of a lab trusts it.
"""

import hashlib

import dns.dnssec
import dns.name
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from dns.dnssectypes import Algorithm, DSDigest

_TTL_SECONDS = 5
# Longer than any lab lives.
_LIFETIME_SECONDS = 365 * 24 * 3600
_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"the lab's own zones, and no others").digest())
# RFC 4034 2.1.1: a zone key, and the one that the parent's DS record names.
_DNSKEY = dns.dnssec.make_dnskey(_KEY.public_key(), Algorithm.ED25519, flags=257)


def anchor(zone: str) -> str:
    """Return the DS record's data (RFC 4034 5.3) by which a parent, or a resolver, trusts the zone."""
    name = dns.name.from_text(zone)
    return dns.dnssec.make_ds(name, _DNSKEY, DSDigest.SHA256).to_text()


def signed(zone: str, text: str) -> str:
    """Return a zone file with signatures and proofs of absence (RFC 4035 2) over what the given one says."""
    made = dns.zone.from_text(text, origin=zone, relativize=False)
    dns.dnssec.sign_zone(made, keys=[(_KEY, _DNSKEY)], dnskey_ttl=_TTL_SECONDS, lifetime=_LIFETIME_SECONDS)
    return str(made.to_text(relativize=False))
