"""The TLS probes, each at servers that behave well and at ones that do not: OpenSSL's, and one that agrees to anything."""

import asyncio
import contextlib
import dataclasses
import ssl
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from audit.probes import Observation, observe
from audit.probes.hello import SUITES, VERSIONS, read_answer
from lab import ca
from lab.plan import LabState, plan_lab
from roles.mta.defences.tls import DEFENCES
from tests.unit.audit import stubs

HOSTNAME = "mx1.bastide.example"
# Of SSL_CTX_set_options(3); Python has no name for it.
ALLOW_CLIENT_RENEGOTIATION = 1 << 8
CLAIMS = {each.title(): each for defence in DEFENCES for each in defence.claims}

Secured = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


def looked(title: str, begun: Secured) -> Observation:
    """Return what the gateway's own claim comes to at a server that begins TLS so."""

    async def look() -> Observation:
        async with stubs.served(lambda reader, writer: _session(reader, writer, begun)) as port:
            claim: Any = CLAIMS[title]
            return await observe(dataclasses.replace(claim, port=port), stubs.place(port))

    return asyncio.run(asyncio.wait_for(look(), 60))


async def _session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, begun: Secured) -> None:
    writer.write(b"220 mx1.bastide.example ESMTP\r\n")
    while line := (await reader.readuntil(b"\n")).strip().upper():
        if line == b"QUIT":
            return
        if line == b"STARTTLS":
            writer.write(b"220 2.0.0 Go on\r\n")
            if await begun(reader, writer) is False:
                return
        elif line.startswith(b"EHLO"):
            writer.write(b"250-mx1.bastide.example\r\n250 STARTTLS\r\n")
        else:
            writer.write(b"250 2.0.0 Ok\r\n")


def by_openssl(context: ssl.SSLContext, *, forgets: bool = True) -> Secured:
    """Begin TLS by OpenSSL; ``forgets`` what came before it, which asyncio's reader alone does not."""

    async def begun(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if forgets:
            reader._buffer.clear()  # type: ignore[attr-defined]  # there is no public way
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await writer.start_tls(context)
            return True
        return False

    return begun


def agreeing(certificate: bytes, *, compression: bool = True, asks: bool = True) -> Secured:
    """Agree to the first of everything that is offered, in bytes of our own."""

    async def begun(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        kind, _, length = struct.unpack("!BHH", await reader.readexactly(5))
        assert kind == 22
        writer.write(
            _agreement(await reader.readexactly(length), certificate, compression=compression, asks=asks)
        )
        await writer.drain()
        await reader.read(1)
        return False

    return begun


def _agreement(hello: bytes, certificate: bytes, *, compression: bool, asks: bool) -> bytes:
    (version,) = struct.unpack_from("!H", hello, 4)
    at = 38
    session = hello[at + 1 : at + 1 + hello[at]]
    at += 1 + len(session)
    size, suite = struct.unpack_from("!HH", hello, at)
    method = hello[at + 2 + size + 1] if compression else 0
    extensions = b""
    if suite in {0x1301, 0x1302, 0x1303}:
        extensions = struct.pack("!HHHH", 6, 43, 2, 0x0304)
    body = struct.pack("!H", version) + bytes(32) + bytes([len(session)]) + session
    flight = _message(2, body + struct.pack("!HB", suite, method) + extensions)
    listed = len(certificate).to_bytes(3, "big") + certificate
    flight += _message(11, len(listed).to_bytes(3, "big") + listed)
    flight += _message(13, b"\x01\x01\x00\x00\x00\x00") if asks else b""
    flight += _message(14, b"")
    # In small records: a message need not come in one.
    pieces = [flight[start : start + 100] for start in range(0, len(flight), 100)]
    return b"".join(struct.pack("!BHH", 22, min(version, 0x0303), len(piece)) + piece for piece in pieces)


def _message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> LabState:
    made = plan_lab(name="u1", index=0, gateways=1, directory=tmp_path_factory.mktemp("lab"))
    ca.make(made)
    return made


@pytest.fixture
def context(lab: LabState, tmp_path: Path) -> ssl.SSLContext:
    """Return the context of a good server."""
    return certified(lab, tmp_path, HOSTNAME)


@pytest.fixture(scope="module")
def der(lab: LabState) -> bytes:
    chain, _ = ca.issued(lab, [HOSTNAME])
    return x509.load_pem_x509_certificate(chain).public_bytes(Encoding.DER)


def certified(lab: LabState, folder: Path, *names: str) -> ssl.SSLContext:
    pair = folder / "pair.pem"
    pair.write_bytes(b"".join(ca.issued(lab, names)))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pair)
    return made


def of_old(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a context take what OpenSSL still can of the old."""
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    return context


@pytest.mark.parametrize("title", CLAIMS)
def test_every_claim_holds_at_a_good_server(title: str, context: ssl.SSLContext) -> None:
    seen = looked(title, by_openssl(context))
    assert seen.state == "held", seen


@pytest.mark.parametrize("title", CLAIMS)
def test_no_claim_holds_where_starttls_is_not_offered(title: str) -> None:
    async def look() -> Observation:
        async with stubs.smtp(stubs.Manners()) as port:
            claim: Any = CLAIMS[title]
            return await observe(dataclasses.replace(claim, port=port), stubs.place(port))

    seen = asyncio.run(asyncio.wait_for(look(), 60))
    assert seen.state == "broken", seen


def test_old_versions_are_seen_though_our_own_library_would_not_offer_them(context: ssl.SSLContext) -> None:
    seen = looked("tls-versions", by_openssl(of_old(context)))
    assert (seen.state, seen.seen) == ("broken", "TLS 1.0, TLS 1.1, TLS 1.2, TLS 1.3")


def test_every_version_is_really_offered(der: bytes) -> None:
    seen = looked("tls-versions", agreeing(der))
    assert (seen.state, seen.seen) == ("broken", ", ".join(sorted(VERSIONS)))


def test_a_server_without_tls_1_3_is_seen(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    seen = looked("tls-versions", by_openssl(context))
    assert (seen.state, seen.seen) == ("broken", "TLS 1.2")


def test_weak_suites_are_seen(context: ssl.SSLContext) -> None:
    seen = looked("weak-suites", by_openssl(of_old(context)))
    assert seen.state == "broken"
    assert {"anonymous", "null"} <= set(seen.seen.split(", ")), seen


def test_every_family_of_suites_is_really_offered(der: bytes) -> None:
    seen = looked("weak-suites", agreeing(der))
    assert (seen.state, seen.seen) == ("broken", ", ".join(sorted(set(SUITES) - {"all"})))


def test_a_certificate_for_another_name_is_seen(lab: LabState, tmp_path: Path) -> None:
    seen = looked("tls-handshake", by_openssl(certified(lab, tmp_path, "mx2.bastide.example")))
    assert (seen.state, seen.seen) == (
        "broken",
        f"{HOSTNAME} shows CN=mx2.bastide.example; mx2.bastide.example",
    )


def test_a_certificate_that_names_the_software_is_seen(lab: LabState, tmp_path: Path) -> None:
    seen = looked("tls-handshake", by_openssl(certified(lab, tmp_path, HOSTNAME, "debian.bastide.example")))
    assert seen.state == "broken", seen


def test_a_wish_for_our_certificate_is_seen(context: ssl.SSLContext) -> None:
    context.verify_mode = ssl.CERT_OPTIONAL
    seen = looked("tls-handshake", by_openssl(context))
    assert seen.state == "broken"
    assert "asks the client for a certificate" in seen.seen


def test_compression_and_unbound_renegotiation_are_seen(der: bytes) -> None:
    seen = looked("tls-handshake", agreeing(der, asks=False))
    assert seen.state == "broken"
    assert "compresses; renegotiates without RFC 5746" in seen.seen
    assert "asks the client" not in seen.seen


def test_a_certificate_that_is_none_proves_nothing() -> None:
    assert looked("tls-handshake", agreeing(b"no certificate")).state == "broken"


def test_renegotiation_is_seen(context: ssl.SSLContext) -> None:
    context.options |= ALLOW_CLIENT_RENEGOTIATION
    seen = looked("tls-renegotiation", by_openssl(context))
    assert (seen.state, seen.seen) == ("broken", "done")


def test_a_command_that_outlives_starttls_is_seen(context: ssl.SSLContext) -> None:
    # CVE-2011-0411: asyncio's own reader keeps what it has read, so this server is really open to it.
    seen = looked("starttls-injection", by_openssl(context, forgets=False))
    assert seen.state == "broken"
    assert seen.seen.startswith("250-mx1.bastide.example")


@given(st.binary(max_size=400), st.integers(1, 60))
def test_any_answer_is_read_without_error(content: bytes, size: int) -> None:
    records = b"".join(
        struct.pack("!BHH", 22, 0x0303, len(piece)) + piece
        for piece in (content[at : at + size] for at in range(0, len(content), size))
    )

    async def reading() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(records)
        reader.feed_eof()
        await read_answer(reader.readexactly)

    asyncio.run(reading())
