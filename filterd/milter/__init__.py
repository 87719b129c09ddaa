"""The milter protocol, versions 2 to 6, without I/O.

The attack it stops: a peer that talks the filter into unbounded memory, a wrong state or injected headers.
Nothing here opens a socket, reads a clock or knows what mail is for. Peer bytes go in through
``Session.receive``; events come out of ``Session.next_event``; replies go through ``Session.reply``.
Source of the numbers: Sendmail's include/libmilter/mfdef.h and the libmilter API pages.
"""
