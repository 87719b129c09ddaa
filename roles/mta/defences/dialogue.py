"""Lines and replies that the claims of several records share."""

# Replies of a server that takes what it should refuse, and of one that refuses for good.
TAKEN = "250 2.1.5 Ok"
REFUSED = r"5\d\d[ -](?s:.*)"

EHLO = "EHLO client.sender.example"
MAIL = "MAIL FROM:<alice@sender.example>"
RCPT = "RCPT TO:<bob@{domain}>"

# Words by which a text tells which programs wrote it, or on which system; a host's own name must be taken out before.
TELLTALE = (
    r"(?i:postfix|sendmail|\bexim|smtpd\b|debian|ubuntu|red ?hat|rocky|linux|milter|filterd|\bbastide\b(?!\.\w)|clamav|clamd|"
    r"spamassassin|\bspamd|python|openssl|gnutls|\b8\.1\d\b|(?<!mime-)\bversion\b)"
    # Three numbers are a version unless they are a status code (RFC 3463 2) or part of an address.
    r"|(?<![\d.])(?![245]\.\d{1,3}\.\d{1,3}(?![\d.]))\d+\.\d+\.\d+(?![\d.])"
)
