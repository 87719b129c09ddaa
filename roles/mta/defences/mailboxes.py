"""Which recipients there are: what the next hop would refuse later is refused at once."""

from roles.claims import Reply
from roles.defence import Defence
from roles.kinds import (
    FileMode,
    MainCf,
    PostfixMap,
    Restriction,
    SendmailMap,
    SendmailPatterns,
    SendmailRule,
    TableRestrictions,
)
from roles.mta.access import DIRECTORY, LONG
from roles.mta.defences.dialogue import EHLO, MAIL
from roles.mta.known import LDAP_FILES, LIST, VERIFIED, directories, known, listed_map, verified
from roles.mta.rulesets import called, listed, put_off_unless_answered, subaddress_map
from roles.settings import Gateway


def _lists(gateway: Gateway) -> bool:
    """Say whether some relayed domain's mailboxes are known without its next hop."""
    return any(check.method != "next_hop" for check in gateway.recipients.values())


def _verifies(gateway: Gateway) -> tuple[str, ...]:
    return (f"check_recipient_access {VERIFIED}",) if verified(gateway) else ()


def _domain_asked(gateway: Gateway) -> tuple[str, ...]:
    """Return Sendmail's rules that ask DNS for a recipient's domain, where it is neither relayed nor the gateway's own."""
    return (
        "R$*\t$: $1 $| $&{Recipient}",
        "R$* $| $* @ [ $* ]\t$: $1",
        f"R$* $| $* @ {gateway.hostname}\t$: $1",
        # <Postmaster> is one of this host's (RFC 5321 4.5.1).
        "R$* $| $-\t$: $1",
        "R$* $| $* @ $+\t$: $1 $| $3 $| $(mailertable $3 $: NO $)",
        "R$* $| $+ $| NO\t$: $1 $| $2",
        "R$* $| $* $| $*\t$: $1",
        *put_off_unless_answered("Recipient address rejected: Domain not found (rule mta.recipient-domain)"),
    )


DEFENCES = (
    Defence(
        id="mta.address-length",
        title="Addresses longer than SMTP allows are asked for nowhere",
        why="RFC 5321 ends a path at 256 octets. A key of more than 511 ends the service of Postfix's that asks the next hop, again and "
        "again while its client waits: one stranger's command would keep everybody's mail out.",
        rows=("A24", "P18"),
        sets=(
            TableRestrictions(
                "smtpd_recipient_restrictions", lambda _: (f"check_recipient_access pcre:{DIRECTORY}/{LONG}",)
            ),
        ),
        claims=tuple(
            Reply(
                about=f"recipient-of-{length}",
                lines=(EHLO, MAIL, f"RCPT TO:<{'a' * length}@{{domain}}>"),
                matches=r"5\d\d[ -](?s:.*)",
                refuted_by="250 2.1.5 Ok",
            )
            for length in (250, 505, 900)
        ),
        weight=8,
    ),
    Defence(
        id="mta.recipient-listed",
        title="Mailboxes of domains with a list or a directory are those that stand there",
        why="Some next hops take mail for any address and bounce later; the bounce goes to whoever was named as the sender.",
        rows=("A01", "R17"),
        sets=(
            MainCf("relay_recipient_maps", listed_map),
            MainCf("unknown_relay_recipient_reject_code", "550"),
            Restriction(
                "smtpd_recipient_restrictions",
                "reject_unlisted_recipient",
                says="Recipient address rejected: User unknown",
            ),
            PostfixMap(LIST, known),
            SendmailMap("/etc/mail/recipients", known),
            # One name is not another with a tag but where that was declared.
            MainCf("recipient_delimiter", lambda gateway: gateway.recipient_delimiter),
            MainCf("propagate_unmatched_extensions", ""),
            SendmailPatterns(subaddress_map),
            SendmailRule("Listed", listed),
            SendmailRule("Local_check_relay", called("Listed")),
        ),
        unseen="Which mailboxes do not exist only the list says; the acceptance tests ask the lab's.",
        when=_lists,
        weight=7,
    ),
    Defence(
        id="mta.directory-private",
        title="The password for the directory is the MTA's alone",
        why="It opens the list of everybody in the house.",
        rows=("R17",),
        sets=(FileMode(path=LDAP_FILES, mode="640", owner="root", group="postfix", mta="postfix"),),
        unseen="Only who is on the gateway already could read it.",
        when=lambda gateway: bool(directories(gateway)),
        lacks={"sendmail": "It is told of no directory: its mailboxes are declared by lists."},
        weight=8,
    ),
    Defence(
        id="mta.recipient-verified",
        title="Only mailboxes that the next hop knows are taken mail for",
        why="What the next hop refuses later is lost: a bounce would hit whoever was named as the sender (mta.backscatter). What it could "
        "not say while it was down, and that it knows nobody of that name, is asked again after two minutes: by Postfix's own "
        "measure a mailbox that was first written to in such a minute, or is new, would be put off for three hours.",
        rows=("A01", "R17"),
        sets=(
            TableRestrictions(
                "smtpd_recipient_restrictions",
                _verifies,
                says="Recipient address rejected: (undeliverable|unverified) address: .*",
            ),
            PostfixMap(VERIFIED, verified),
            MainCf("unverified_recipient_reject_code", "550"),
            MainCf("unverified_recipient_reject_reason", "Address unknown"),
            MainCf("address_verify_map", "lmdb:$data_directory/verify_cache"),
            MainCf("address_verify_poll_delay", "1s"),
            MainCf("address_verify_negative_refresh_time", "2m"),
        ),
        unseen="Which mailboxes do not exist only the next hop knows; the acceptance tests ask the lab's.",
        when=lambda gateway: bool(verified(gateway)),
        lacks={
            "sendmail": "Sendmail asks no next hop while its client waits; in its place the next hop refuses later, and "
            "the notice goes to the administrator, or to a sender of the house (mta.backscatter); declare the mailboxes to have none.",
        },
        weight=7,
    ),
    Defence(
        id="mta.recipient-domain",
        title="Mail that goes out goes to domains that exist",
        why="A misspelt domain is better told to who misspelt it than in a bounce days later. Relayed domains are not asked "
        "of DNS: their next hops are declared, and mail for them must come in while DNS is away.",
        rows=("A08",),
        sets=(
            Restriction("smtpd_recipient_restrictions", "permit_auth_destination"),
            Restriction(
                "smtpd_recipient_restrictions",
                "reject_unknown_recipient_domain",
                says=r"Recipient address rejected: Domain (not found|\S+ does not accept mail \(nullMX\))",
            ),
            SendmailRule("Local_check_relay", _domain_asked),
        ),
        unseen="Strangers are refused as relays before; the acceptance tests send from inside.",
        weight=3,
    ),
)
