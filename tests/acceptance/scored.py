"""Mails of every spam score, from none to certain: the fixed corpus of the precision levels (R03).

What SpamAssassin 4.0 gave them, by rules about content alone, stands beside each; other versions may differ somewhat.
"""

from email.utils import formatdate
from typing import Final

from tests.corpus.mail import CRLF, rows

_HTML: Final = (b"MIME-Version: 1.0", b"Content-Type: text/html; charset=us-ascii")
_ADVANCE: Final = (
    b"Dear friend, I am the attorney to the late Mr. Smith, who died in a plane crash with his next of kin.",
    b"I contact you in strict confidence to transfer the sum of US$25,500,000.00 (twenty five million five hundred",
    b"thousand United States dollars) from the Central Bank into your bank account. You will receive 30% of the",
    b"total sum. This business transaction is 100% risk free. Please send me your full name, address, telephone",
    b"number, your bank account number and a copy of your passport. Your urgent reply is needed. Western Union.",
)


def _mail(author: bytes, subject: bytes, *body: bytes, more: tuple[bytes, ...] = ()) -> bytes:
    fields = rows(
        b"From: " + author,
        b"To: <bob@bastide.example>",
        b"Subject: " + subject,
        # Of today, as an old date costs points.
        b"Date: " + formatdate().encode(),
        b"Message-ID: <20261122.1234.abcdef@sender.example>",
        *more,
    )
    return fields + CRLF + rows(*body)


_ALICE: Final = b"Alice <alice@sender.example>"
_FREE_MAIL: Final = (b"Reply-To: claims99@hotmail.com",)

SCORED: Final = {
    "minutes": _mail(
        _ALICE, b"Minutes of Tuesday", b"Hello Bob,", b"", b"here are the minutes.", b"", b"Alice"
    ),  # 0.0
    "newsletter": _mail(
        _ALICE,
        b"Our shoes",
        b"<html><body><p>Our new shoes are here. <a href='http://shop.example/stop'>No more of it</a></p></body></html>",
        more=_HTML,
    ),  # 0.4
    "picture": _mail(
        _ALICE, b"Work", b"<a href='http://192.0.2.7/'><img src='http://192.0.2.7/a.gif'></a>", more=_HTML
    ),  # 3.6
    "shouting": _mail(
        _ALICE, b"FREE MONEY FOR YOU", b"CLICK HERE. 100% GUARANTEED. ACT NOW! ORDER NOW. RISK FREE."
    ),  # 4.6
    "pharmacy": _mail(
        b'"Viagra Store" <store@sender.example>',
        b"Viagra 80% OFF",
        b"Buy viagra online. No prescription needed.",
    ),  # 5.5
    "offer": _mail(
        _ALICE, b"ACT NOW", b"ACT NOW! 100% GUARANTEED. RISK FREE. Dear friend.", more=_FREE_MAIL
    ),  # 6.6
    "loan": _mail(
        _ALICE,
        b"Loan offer",
        b"Dear friend, I can transfer US$2,500,000.00 to your bank account. Send me your telephone number.",
        more=_FREE_MAIL,
    ),  # 7.4
    "lottery": _mail(
        _ALICE, b"CONGRATULATIONS YOU WON", b"Dear winner, contact our claims agent.", more=_FREE_MAIL
    ),  # 8.4
    "pills": _mail(
        b'"Viagra Store" <x83jd93@sender.example>',
        b"Viagra Cialis 80% OFF",
        b"<html><body bgcolor=#ffffff><font color=#ffffff size=1>hidden words</font><center><h1>BUY VIAGRA ONLINE</h1>",
        b'<a href="http://192.0.2.7/cheap.html">Cialis, Viagra, Levitra - no prescription needed</a> Click here!',
        b'<img src="http://192.0.2.7/a.gif"></center></body></html>',
        more=(b"X-Mailer: The Bat! (v1.52f) Business", *_HTML),
    ),  # 11.7
    "advance-fee": _mail(
        b'"MR. JAMES OKORO" <james@sender.example>', b"URGENT BUSINESS PROPOSAL", *_ADVANCE, more=_FREE_MAIL
    ),  # 20
    # In two pieces: filters eat checkouts that hold it whole.
    "gtube": _mail(
        _ALICE, b"test", b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
    ),
}
