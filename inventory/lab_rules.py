"""The rules of the lab's gateways: one of each kind, which the acceptance tests try and docs/mta-rules.md shows."""

from typing import Any

RULES: dict[str, Any] = {
    "helo_form": "fqdn",
    "client": [
        {
            "id": "partner",
            "match": "198.51.100.72",
            "verb": "accept",
            "reason": "A partner whose server greets with a short name; the rest of his network is refused below.",
        },
        {
            "id": "hosting",
            "match": "198.51.100.72/29",
            "verb": "reject",
            "text": "Mail from this network is not accepted, see https://www.bastide.example/mail",
            "reason": "A hoster that does nothing about abuse.",
        },
        {
            "id": "dial-up",
            "match": "*.dsl.spoof.example",
            "verb": "defer",
            "text": "Dial-up lines send by their provider's server",
            "reason": "Hosts at home are no mail servers.",
        },
        {
            "id": "last-year",
            "match": "198.51.100.10",
            "verb": "reject",
            "expires": "2025-12-31",
            "reason": "A flood that is over. The lab's tests send from this very address: it must be in force no longer.",
        },
    ],
    "helo": [
        {
            "id": "local",
            "match": r"/^(localhost|\[?127\.)/",
            "verb": "reject",
            "text": "That is my own name",
            "reason": "Spam software greets with the name of whoever it talks to.",
        }
    ],
    "sender": [
        {
            "id": "lottery",
            "match": "lottery@sender.example",
            "verb": "reject",
            "reason": "Asked to stop, did not.",
        },
        {
            "id": "numbered",
            "match": "/^win-[0-9]{4,}@/",
            "verb": "reject",
            "mode": "warn",
            "text": "Numbered senders are not accepted",
            "reason": "A pattern that is being watched before it refuses.",
        },
        {
            "id": "list",
            "match": "@.lists.spoof.example",
            "verb": "defer",
            "reason": "Its lists are being cleaned up.",
        },
        {
            "id": "trap",
            "match": "trap@sender.example",
            "verb": "discard",
            "reason": "Its sender is not to learn.",
        },
        {
            "id": "review",
            "match": "review@sender.example",
            "verb": "hold",
            "reason": "A person looks at these.",
        },
    ],
    "recipient": [
        {
            "id": "staff",
            "match": "all-staff@bastide.example",
            "verb": "reject",
            "text": "For the house alone",
            "reason": "One message reaches everybody.",
        },
        {
            "id": "fax",
            "match": "unknown-fax@bastide.example",
            "verb": "accept",
            "reason": "The fax server cannot say which numbers there are.",
        },
    ],
    "content": [
        {
            "id": "newsletter",
            "part": "header",
            "match": "/^X-Newsletter: no-consent/",
            "verb": "reject",
            "text": "Newsletters need consent",
            "reason": "Its senders mark it themselves.",
        },
        {
            "id": "mailer",
            "part": "header",
            "match": "/^X-Internal-Host:/",
            "verb": "ignore",
            "reason": "Nobody needs to know.",
        },
        {
            "id": "offer",
            "part": "header",
            "match": "/^Subject:.*watched offer/",
            "verb": "warn",
            "reason": "How often does that come?",
        },
        {
            "id": "invoice",
            "part": "header",
            "match": "/^Subject:.*unlikely invoice/",
            "verb": "reject",
            "mode": "warn",
            "reason": "Tried for a week before it refuses.",
        },
        {
            "id": "contract",
            "part": "header",
            "match": "/^Subject:.*contract to be held/",
            "verb": "hold",
            "reason": "A person looks at these.",
        },
        {
            "id": "screensaver",
            "part": "mime",
            "match": r"/name=[^>]*\.screensaver/",
            "verb": "reject",
            "reason": "Nobody sends one in earnest; filterd sees encoded names too.",
        },
        {
            "id": "phrase",
            "part": "body",
            "match": "/^this line gives the flood away$/",
            "verb": "discard",
            "reason": "A flood of one text.",
        },
    ],
}
LIMITS: dict[str, Any] = {
    "connections": 5,
    "connections_per_minute": 30,
    "messages_per_minute": 10,
    "recipients_per_minute": 40,
    # Tests wait for it to pass.
    "command_seconds": 60,
    # The audit and most tests send from these, much more than anybody's mail server does.
    "exempt": [
        "198.51.100.10",
        "198.51.100.53",
        "198.51.100.66",
        "198.51.100.67",
        "2001:db8:51::/64",
        "198.18.0.0/24",
        "2001:db8:18::/64",
    ],
}
# On 198.18.0.10 tests stand, and listen when they want to.
NEXT_HOPS = {
    "spare.bastide.example": "[198.18.0.10]:25, [198.18.0.25]:25",
    "late.bastide.example": "[198.18.0.10]:25, [198.18.0.10]:2526",
}
LATE_AT_ONE_PORT = "[198.18.0.25]:2526, [198.18.0.10]:2526"
RECIPIENTS: dict[str, Any] = {
    "late.bastide.example": {"method": "list", "addresses": ["bob"]},
    # The next hop knows none that begin with "unknown".
    "spare.bastide.example": {"method": "list", "addresses": ["bob", "unknown"]},
    "listed.bastide.example": {"method": "list", "addresses": ["bob", "carol@listed.bastide.example"]},
}
