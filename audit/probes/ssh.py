"""sshd as a stranger meets it: what it offers before anybody has proved who he is."""

import asyncio
import contextlib
import re
import struct

from audit.errors import AuditError, NoSightError
from audit.place import Place
from roles.claims import SshAlgorithms, SshMethods, SshVersion

SECONDS = 10.0
# RFC 4253 4.2: at most 255 bytes; other lines may come before the version, a bounded number of them.
MAX_BANNER_LINE = 1024
MAX_BANNER_LINES = 50
# RFC 4253 6.1: implementations must cope with packets of 35,000 bytes.
MAX_PACKET = 35_000
_KEXINIT = 20
_LISTS = {"kex": 0, "host-key": 1, "cipher": (2, 3), "mac": (4, 5)}
_SIGNALS = re.compile(r"ext-info-[cs]|kex-strict-.*")
_DENIED = re.compile(r"Permission denied \(([a-z0-9@.,-]*)\)")


async def algorithms(claim: SshAlgorithms, place: Place) -> frozenset[str]:
    """Return the algorithms of one sort that sshd names in its key exchange offer, signals left out."""
    async with asyncio.timeout(SECONDS):
        lists = await _offer(place)
    chosen = _LISTS[claim.about]
    indices = chosen if isinstance(chosen, tuple) else (chosen,)
    names = {name for index in indices for name in lists[index].split(",")}
    return frozenset(name for name in names if name and not _SIGNALS.fullmatch(name))


async def version(claim: SshVersion, place: Place) -> str:
    """Return the line by which sshd names its protocol and software."""
    del claim
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection(place.address(), place.ssh_port, limit=MAX_BANNER_LINE)
        try:
            return await _version(reader)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def methods(claim: SshMethods, place: Place) -> frozenset[str]:
    """Return the methods that sshd names when asked to let us in by none (RFC 4252 5.2).

    OpenSSH's client asks, with the host key checked as strictly as in a deploy; AuditError if the key is not known.
    """
    del claim
    code, said = await _client(place)
    if code == 0:
        return frozenset({"none"})
    if "Host key verification failed" in said:
        raise AuditError(
            f"{place.address()}: the host key is not the one in {place.known_hosts or 'known_hosts'}"
        )
    match = _DENIED.search(said)
    if match is None:
        raise NoSightError(f"ssh: {said.strip()[-200:]}")
    return frozenset(match[1].split(","))


async def _client(place: Place) -> tuple[int, str]:
    """Run OpenSSH's client without any proof of who we are; return its exit code and what it wrote to its errors."""
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "PreferredAuthentications": "none",
        "ConnectTimeout": f"{SECONDS:g}",
        "ControlPath": "none",
        **({"UserKnownHostsFile": place.known_hosts} if place.known_hosts else {}),
    }
    child = await asyncio.create_subprocess_exec(
        *("ssh", "-F", "none", "-T", *(f"-o{name}={value}" for name, value in options.items())),
        *("-p", str(place.ssh_port), "-l", place.ssh_user or "root", "--", place.address(), "true"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(2 * SECONDS):
            _, errors = await child.communicate()
    except TimeoutError as error:
        child.kill()
        await child.wait()
        raise NoSightError("sshd did not name its methods in time") from error
    return await child.wait(), errors.decode("utf-8", "replace")


async def _offer(place: Place) -> list[str]:
    """Exchange versions, read one SSH_MSG_KEXINIT and return its name-lists (RFC 4253 7.1)."""
    reader, writer = await asyncio.open_connection(place.address(), place.ssh_port, limit=MAX_BANNER_LINE)
    try:
        await _version(reader)
        writer.write(b"SSH-2.0-bastide\r\n")
        head = await reader.readexactly(5)
        length, padding = struct.unpack("!IB", head)
        if not padding + 2 <= length <= MAX_PACKET:
            raise NoSightError(f"sshd sends a packet of {length} bytes with {padding} of padding")
        payload = (await reader.readexactly(length - 1))[: length - 1 - padding]
    except asyncio.IncompleteReadError as error:
        raise NoSightError("sshd closed the connection before its key exchange offer") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return _name_lists(payload)


async def _version(reader: asyncio.StreamReader) -> str:
    for _ in range(MAX_BANNER_LINES):
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            raise NoSightError("sshd's first line is too long") from error
        if line.startswith(b"SSH-2.0-"):
            return line.decode("ascii", "replace").rstrip("\r\n")
        if line.startswith(b"SSH-"):
            raise NoSightError(f"sshd speaks another protocol: {line!r}")
    raise NoSightError("sshd never names its version")


def _name_lists(payload: bytes) -> list[str]:
    """Split the payload of SSH_MSG_KEXINIT: type, 16 bytes of cookie, ten name-lists."""
    if payload[:1] != bytes([_KEXINIT]):
        raise NoSightError(f"sshd's first message is of type {payload[:1].hex() or 'none'}, not its offer")
    lists, position = [], 17
    for _ in range(10):
        if position + 4 > len(payload):
            raise NoSightError("sshd's offer ends within a name-list")
        (length,) = struct.unpack_from("!I", payload, position)
        if position + 4 + length > len(payload):
            raise NoSightError("sshd's offer ends within a name-list")
        lists.append(payload[position + 4 : position + 4 + length].decode("ascii", "replace"))
        position += 4 + length
    return lists
