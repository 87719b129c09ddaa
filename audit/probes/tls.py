"""TLS behind STARTTLS (RFC 3207) as a stranger meets it.

The handshakes are our own bytes up to the server's answer: a TLS library of today refuses by itself to offer what a
server must be seen to refuse. Only renegotiation needs a whole session, for which OpenSSL's client is asked.
"""

import asyncio
import contextlib
import re

from cryptography import x509
from cryptography.x509.oid import NameOID

from audit.errors import NoSightError, UnseenError
from audit.place import Place
from audit.probes.hello import SUITES, VERSIONS, Answer, client_hello, read_answer
from audit.probes.smtp import Talk, talk
from roles.claims import Handshake, StarttlsInjection, TlsHandshake, TlsRenegotiation, TlsSuites, TlsVersions

SECONDS = 15.0
# How long a server is listened to that should say nothing.
SILENCE_SECONDS = 3.0
_ENDED = re.compile(
    r"no renegotiation|handshake failure|unexpected (message|eof)|SSL alert number|closed|errno=",
    re.IGNORECASE,
)


async def versions(claim: TlsVersions, place: Place) -> frozenset[str]:
    """Offer each version of the protocol alone and return those that the server answered in."""
    found = set()
    for name in VERSIONS:
        answer = await _answer(place, claim.port, client_hello(name, SUITES["all"], place.hostname))
        if answer is not None:
            found.add(answer.version)
    return frozenset(found)


async def suites(claim: TlsSuites, place: Place) -> frozenset[str]:
    """Offer each family of weak suites alone, in TLS 1.2, and return those that the server took one of."""
    found = set()
    for family in sorted(claim.asked):
        answer = await _answer(place, claim.port, client_hello("TLS 1.2", SUITES[family], place.hostname))
        if answer is not None:
            found.add(family)
    return frozenset(found)


async def handshake(claim: TlsHandshake, place: Place) -> Handshake:
    """Return what the server shows of itself in a handshake of TLS 1.2, which is not encrypted up to there."""
    hello = client_hello("TLS 1.2", SUITES["all"], place.hostname, compression=True)
    answer = await _answer(place, claim.port, hello)
    if answer is None or not answer.certificate:
        raise NoSightError("the server showed no certificate in TLS 1.2")
    try:
        certificate = x509.load_der_x509_certificate(answer.certificate)
        names, text = _names(certificate), _text(certificate)
    except ValueError as error:
        raise NoSightError(f"the server's certificate cannot be read: {error}") from error
    return Handshake(
        hostname=place.hostname,
        names=names,
        text=text,
        asks_for_certificate=answer.asks_for_certificate,
        compresses=answer.compresses,
        binds_renegotiation=answer.binds_renegotiation,
    )


async def injection(claim: StarttlsInjection, place: Place) -> str:
    """Send a command in one packet with STARTTLS and return the reply to it from within TLS (CVE-2011-0411).

    A server that discards it says nothing: ``nothing``. One that refuses STARTTLS so, or hangs up, is ``refused``.
    """
    async with talk(place, claim.port) as peer:
        await _offered(peer, place)
        await peer.send(b"STARTTLS\r\nEHLO injected.example\r\n")
        try:
            if not (await peer.reply("STARTTLS with a command behind it")).startswith("220"):
                return "refused"
            await peer.secured()
        except NoSightError:
            return "refused"
        try:
            return await peer.reply("the command that came before TLS", SILENCE_SECONDS)
        except NoSightError:
            pass
        try:
            # Silence may also be a server that hangs: it must answer this, once.
            said = await peer.command(f"NOOP {place.helo}")
        except NoSightError:
            return "refused"
        return "nothing" if "\n" not in said and said[:1] in "25" else said


async def renegotiation(claim: TlsRenegotiation, place: Place) -> str:
    """Ask for a second handshake in a session of TLS 1.2; return ``refused`` or ``done``."""
    address, source = place.address(), place.source()
    host = f"[{address}]" if ":" in address else address
    command = [
        "openssl",
        "s_client",
        "-starttls",
        "smtp",
        "-name",
        place.helo.strip("[]"),
        "-tls1_2",
        "-connect",
    ]
    command += [
        f"{host}:{claim.port}",
        *(["-bind", f"[{source}]" if ":" in source else source] if source else []),
    ]
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except FileNotFoundError as error:
        raise UnseenError("the audit's host has no openssl to renegotiate with") from error
    try:
        return await _asked_again(child)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def _asked_again(child: asyncio.subprocess.Process) -> str:
    """Let s_client renegotiate (its command ``R``), then see whether the session still answers."""
    if child.stdin is None or child.stdout is None:
        raise NoSightError("openssl has no pipes")
    begun = await _until(child.stdout, r"(?m)^\s*Extended master secret: .*\n---\n", SECONDS)
    if not re.search(r"(?m)^New, TLSv1\.2, Cipher is (?!\(NONE\))", begun):
        raise NoSightError("no session of TLS 1.2 came about")
    child.stdin.write(b"R\n")
    await _until(child.stdout, "RENEGOTIATING", SECONDS)
    # openssl sends its hello with the next bytes that it writes.
    await asyncio.sleep(1)
    child.stdin.write(b"NOOP\r\n")
    try:
        said = await _until(child.stdout, rf"(?m)^(250|5\d\d|421)[ -].*|{_ENDED.pattern}", SILENCE_SECONDS)
    except (NoSightError, OSError):
        return "refused"
    return "done" if re.search(r"(?m)^(250|5\d\d)[ -]", said) and not _ENDED.search(said) else "refused"


async def _until(reader: asyncio.StreamReader, pattern: str, seconds: float) -> str:
    """Read until the text that came matches; NoSightError at the end, or when the time is over."""
    text = ""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while chunk := await reader.read(4096):
                text += chunk.decode("utf-8", "replace")
                if re.search(pattern, text):
                    return text
    raise NoSightError(f"openssl said: {text[-200:]}")


async def _answer(place: Place, port: int, hello: bytes) -> Answer | None:
    """Return the server's answer to a ClientHello behind STARTTLS, None if it refuses by alert or by hanging up."""
    async with talk(place, port) as peer:
        await _offered(peer, place)
        if not (said := await peer.command("STARTTLS")).startswith("220"):
            raise NoSightError(f"STARTTLS was answered with {said}")
        await peer.send(hello)
        try:
            async with asyncio.timeout(SECONDS):
                return await read_answer(peer.exactly)
        except TimeoutError as error:
            raise NoSightError(f"no answer to a ClientHello within {SECONDS:g} s") from error


async def _offered(peer: Talk, place: Place) -> None:
    """Greet the server; NoSightError unless it offers STARTTLS."""
    said = await peer.reply("the connection")
    if not said.startswith("2"):
        raise NoSightError(f"greeted with {said}")
    offered = await peer.command(f"EHLO {place.helo}")
    if "STARTTLS" not in (line[4:].strip().upper() for line in offered.splitlines()):
        raise NoSightError(f"no STARTTLS in {offered}")


def _names(certificate: x509.Certificate) -> frozenset[str]:
    """Return the host names that a certificate is for (RFC 6125 6.4): the common name counts only without others."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return frozenset(name.lower() for name in found.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        commons = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return frozenset(str(each.value).lower() for each in commons)


def _text(certificate: x509.Certificate) -> str:
    """Return all that a certificate says in words of whom it is for."""
    return "; ".join([certificate.subject.rfc4514_string(), *sorted(_names(certificate))])
