"""Lines and replies that the claims of several records share."""

# Replies of a server that takes what it should refuse, and of one that refuses for good.
TAKEN = "250 2.1.5 Ok"
REFUSED = r"5\d\d[ -](?s:.*)"

EHLO = "EHLO client.sender.example"
MAIL = "MAIL FROM:<alice@sender.example>"
RCPT = "RCPT TO:<bob@{domain}>"
