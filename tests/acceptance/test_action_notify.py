"""Notices: who is told, by which text, and who never is (R21, R22)."""

import base64
import email
import uuid
from email.message import EmailMessage
from email.policy import SMTP

from audit.samples import EICAR
from tests.acceptance.desk import stored
from tests.acceptance.gateway import GatewayHost, Record
from tests.acceptance.letters import (
    ADMIN,
    BOB,
    DAVE,
    PLAIN,
    attachment,
    data,
    delivered,
    letter,
    mark,
    nothing_arrived,
    own,
    part,
    send,
)
from tests.acceptance.outside import Outside
from tests.acceptance.policy import policy
from tests.corpus.writers.zips import scrambled, zipped


def test_notices_reach_administrator_and_recipient(wan: Outside, gateway: GatewayHost) -> None:
    # R21, R22
    unique = mark()
    with policy(gateway, {"infected": ("notify admin recipient", "move")}):
        sent = letter(unique, PLAIN, attachment(EICAR, "eicar.com")).replace(
            b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", unique.encode()
        )
        assert send(wan, sent).startswith("250 ")
        records = {record.recipients: record for record in delivered(gateway, unique, count=2)}
    assert set(records) == {(ADMIN,), (BOB,)}
    for record in records.values():
        assert record.sender in {"", "<>"}
        notice = email.message_from_bytes(record.content, policy=SMTP)
        assert notice["auto-submitted"] == "auto-generated"
        assert "eicar.com" in notice.get_content()
    assert gateway.queue() == []


OWN = {
    "admin": "Subject: [%CLASS%] ${SUBJECT} for %TO_USERS%\n\n${ATTACH_NAME} held virus ${VIRUS_NAME}\n",
    "recipient": "Subject: Für Sie zurückgehalten: ${SUBJECT}\n\nVon %FROM_USER% an ${TO_USER}: ${ACTION}\n",
    "deleted": "Here was ${ATTACH_NAME} (%RULE%).\n",
}
TEMPLATES = "/etc/filterd/templates/en"


def encrypted(name: str = "secret.zip") -> bytes:
    return attachment(zipped(scrambled(uuid.uuid4().bytes * 40, b"never told")), name)


def notice_of(record: Record) -> EmailMessage:
    found = email.message_from_bytes(record.content, policy=SMTP)
    assert isinstance(found, EmailMessage)
    assert record.sender in {"", "<>"}
    return found


def test_own_templates_are_used_and_nothing_in_them_becomes_a_header(
    wan: Outside, gateway: GatewayHost
) -> None:
    # R22
    unique = mark()
    sent = letter(unique, PLAIN, attachment(EICAR, "eicar.com")).replace(
        b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=",
        b"=?utf-8?q?" + unique.encode() + b"=0D=0ABcc:_eve=40elsewhere.example?=",
    )
    write = "".join(
        f"echo {base64.b64encode(text.encode()).decode()} | base64 -d > {TEMPLATES}/{which}.txt; "
        for which, text in OWN.items()
    )
    change = f"set -e; umask 022; [ ! -e {TEMPLATES} ]; mkdir -p {TEMPLATES}; chmod 755 {TEMPLATES} /etc/filterd/templates; {write}"
    with (
        gateway.altered(change, f"rm -r {TEMPLATES}"),
        policy(
            gateway, {"infected": ("notify admin recipient", "move"), "banned": ("delete notice", "reject")}
        ),
    ):
        assert send(wan, sent, sender=f"{unique}@sender.example").startswith("250 ")
        records = {record.recipients: record for record in delivered(gateway, unique, count=2)}
        changed = mark()
        assert send(wan, letter(changed, PLAIN, attachment(b"MZ", "tool.exe"))).startswith("250 ")
        (record,) = delivered(gateway, changed)
    admin, recipient = notice_of(records[ADMIN,]), notice_of(records[BOB,])
    assert admin["subject"] == f"[infected] {unique} Bcc: eve@elsewhere.example for {BOB}"
    assert admin.get_content().startswith("eicar.com held virus ")
    assert recipient["subject"].startswith(f"Für Sie zurückgehalten: {unique}")
    assert recipient.get_content().rstrip() == f"Von {unique}@sender.example an {BOB}: quarantined"
    assert (admin["bcc"], recipient["bcc"]) == (None, None)
    assert data(part(own(record), 2)).rstrip() == b"Here was tool.exe (attachment.extension)."


# Only one of the house gets a notice that arrives here; sent from outside, he is not proven to be one (A12).
UNPROVEN = {"rules": {"list.unproven": "off"}}


def test_sender_of_what_nobody_could_open_is_told(wan: Outside, gateway: GatewayHost) -> None:
    # R21, RFC 3834
    unique = mark()
    sent = letter(unique, PLAIN, encrypted())
    with policy(gateway, {"encrypted": ("notify sender", "move")}, tables=UNPROVEN):
        assert send(wan, sent, sender=DAVE).startswith("250 ")
        (record,) = delivered(gateway, unique)
        assert len(stored(gateway, "quarantine", unique)) == 1
    assert record.recipients == (DAVE,)
    notice = notice_of(record)
    assert notice["auto-submitted"] == "auto-replied"
    assert notice["in-reply-to"] == f"<{unique}@sender.example>"
    assert "secret.zip" in notice.get_content()
    assert gateway.queue() == []


# Why nobody is told: what the message is changed by, its sender.
SILENT = {
    "malware": ((b"epilogue", b"epilogue"), DAVE),
    "null-sender": ((b"epilogue", b"epilogue"), ""),
    "automatic": ((b"x-odd:", b"Auto-Submitted: auto-generated\r\nx-odd:"), DAVE),
    "list": ((b"x-odd:", b"List-Id: <all.sender.example>\r\nx-odd:"), DAVE),
    "bulk": ((b"x-odd:", b"Precedence: bulk\r\nx-odd:"), DAVE),
    "machine": ((b"epilogue", b"epilogue"), "no-reply@bastide.example"),
}


def test_sender_of_malware_and_machines_are_never_told(wan: Outside, gateway: GatewayHost) -> None:
    chain = ("notify sender", "move")
    marks = {name: mark() for name in SILENT}
    with policy(gateway, {"encrypted": chain, "infected": ("ignore",)}, tables=UNPROVEN):
        for name, ((old, new), sender) in SILENT.items():
            parts = (encrypted(), attachment(EICAR, "eicar.com")) if name == "malware" else (encrypted(),)
            message = letter(marks[name], PLAIN, *parts).replace(old, new)
            assert send(wan, message, sender=sender).startswith("250 ")
            assert len(stored(gateway, "quarantine", marks[name])) == 1
        assert nothing_arrived(wan, gateway, marks["malware"])
    assert [name for name, unique in marks.items() if gateway.received(unique)] == []
    assert gateway.queue() == []
