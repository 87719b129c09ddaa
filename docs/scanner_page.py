"""docs/scanners.md: what scanners of others are asked for, what they say, and why the rest of it stays."""

from collections.abc import Iterable

from audit.scanners.accepted import LYNIS, SSH_AUDIT, UNITS, Accepted
from audit.scanners.lynis import LEAST as LEAST_INDEX
from audit.scanners.openscap import LEAST as LEAST_SCORE
from audit.scanners.waivers import MACHINE, REFINED, WAIVED, Waived
from docs.markdown import code, page, table
from roles.sandbox.defences import LIMIT

_SOURCE = (
    "Drawn from `audit/scanners/`: what is waived in `waivers.py`, what else stays in `accepted.py`. The audit of Bastide's own records "
    "([defences.md](defences.md)) is the proof; this is the opinion of others. A scanner's list is read for what it teaches, and "
    "nothing is installed or worded for its count."
)


def text() -> str:
    """Return the page."""
    return page("Scanners", _SOURCE, _HOW, _ASKED, _FIGURES, *_openscap(), *_rest())


_HOW = """\
## A scan

```
apt-get install nmap ssh-audit testssl.sh                            # on this machine, as root
.venv/bin/python -m audit.scanners inventory/mine.py --datastream ssg-debian12-ds.xml
```

`--only lynis nmap` runs some of them, `--details` shows each single finding, `--json FILE` writes the figures. Where each scanner stands
is said by the inventory's `audit_*` data, as for the audit; `audit_authorities` names a file with the authority that certifies
the gateway, if that is none of the public ones.

Before the first and after the last scanner a clean message must arrive and a test virus must be refused, or no figure counts: the
best-scoring of other hardeners had shut port 25. Lynis, `openscap-scanner` and `linux-base` are installed on the gateway for the length of
the scan, from the sources that it has, and taken away again with all that came with them; a scan that was killed is cleared up by the next.

OpenSCAP's content for Debian 12 is in Debian's package `ssg-debian` from 0.1.76 on (trixie's; it depends on nothing): `dpkg -x` it
and name the file. Release 0.1.65, Debian 12's own, knows no Debian 12.

In a container the kernel's parameters cannot be set. For Lynis and OpenSCAP alone writable copies stand in their place, with what the
deploy has written to `sysctl.d`: there a good figure says "was deployed". Only a virtual machine shows that it is in force.

"""
_ASKED = "## What is asked\n\n" + table(
    ("Scanner", "Looks from", "Asked for"),
    (
        (
            "Lynis",
            "the host",
            (
                f"an index of at least {LEAST_INDEX['moderate']} at level moderate and {LEAST_INDEX['paranoid']} at paranoid; "
                "no suggestion but those below"
            ),
        ),
        (
            "OpenSCAP, ANSSI BP-028",
            "the host",
            f"tailored as below: no failure in any of the four profiles, and above {LEAST_SCORE:g} in intermediary and enhanced",
        ),
        ("ssh-audit", "mgmt", "no fault and no warning but those below"),
        ("testssl.sh", "wan", "nothing critical, high or medium on port 25"),
        ("nmap, all 65,535 ports, IPv4 and IPv6", "wan, lan, mgmt", "exactly the declared ports are open"),
        (
            "`systemd-analyze security`",
            "the host",
            f"an exposure of at most {LIMIT} of each unit that has a socket of the internet, but of those below",
        ),
    ),
)
# Measured once, on a lab's gateway with Postfix, mail flowing before and after; "before" is the deploy as it was before OpenSCAP was read.
_FIGURES = (
    "## What they said last\n\nOf a gateway in a lab's container, with Postfix; mail flowed before and after. `before` is level "
    "moderate before these profiles were read.\n\n"
    + table(
        ("Figure", "before", "moderate", "paranoid"),
        (
            ("Lynis 3.0.8, index", "79", "82", "82"),
            ("Lynis, warnings, suggestions (each below)", "0, 28", "0, 27", "0, 27"),
            (
                "intermediary, tailored: passed, failed, not applicable, score",
                "100, 50, 34, 91.7",
                "150, 0, 34, 100.0",
                "152, 0, 34, 100.0",
            ),
            ("intermediary, as published", "102, 83, 34, 58.2", "150, 35, 34, 64.7", "151, 34, 34, 64.7"),
            ("enhanced, tailored", "125, 76, 49, 86.3", "201, 0, 49, 100.0", "209, 0, 49, 100.0"),
            ("enhanced, as published", "125, 140, 49, 59.9", "198, 67, 49, 67.9", "205, 60, 49, 69.2"),
            ("high, as published", "146, 191, 52, 59.1", "219, 118, 52, 66.5", "226, 111, 52, 67.8"),
            ("ssh-audit 2.5, faults, warnings (each below)", "0, 2", "0, 2", "0, 2"),
            ("testssl 3.0.8, critical, high, medium, low", "0, 1, 0, 2", "0, 0, 0, 2", "0, 0, 0, 2"),
            ("worst exposure", "2.7", "2.7", "2.7"),
        ),
    )
    + """
What testssl called high was said of the lab's authority, which named no list of what it has revoked; now it does.

Lynis asked 289 points of such a host and gave 239, before there was an integrity layer. Twelve of the others are what the layers for
upgrades and integrity bring; the rest is told below, or is for what is bought or plugged in (a commercial anti-virus, USBGuard), or
takes a machine. Until both layers are there its index stays below what is asked, and `audit.scanners` says so.

debian-cis is in no package of Debian's or of Python's, so it is not among these scanners, and its figure is not known. None of this
was run on a virtual machine yet.
"""
)


def _openscap() -> Iterable[str]:
    yield "## OpenSCAP: what is not asked\n\n" + _WAIVERS
    yield table(("Rules", "Why not", "Instead"), (_waiver(each) for each in WAIVED))
    yield "## OpenSCAP: what is asked otherwise\n"
    yield table(
        ("Value", "Asked for", "Why"), ((code(each.value), code(each.to), each.why) for each in REFINED)
    )


_WAIVERS = """\
The tailoring that OpenSCAP gets is made of this table. A rule stands here when it would break the gateway, is overtaken by something
stronger, or asks for a spelling and not for a state; what it rightly asks for, and costs a gateway nothing, became a defence. "Instead"
names the defences that the audit looks at in its place; `machine` is what no deploy does, but the machine's disk, boot loader or kernel.
"""


def _waiver(each: Waived) -> tuple[str, str, str]:
    """Return a row of the table of waivers."""
    instead = [code(name) if name == MACHINE else _link(name) for name in each.instead]
    until = f" (below level {each.below})" if each.below else ""
    return "<br>".join(code(rule) for rule in each.rules), each.why, f"{', '.join(instead)}{until}"


def _link(defence: str) -> str:
    return f"[{defence}](defences.md#{defence.replace('.', '')})"


def _rest() -> Iterable[str]:
    for title, accepted in (
        ("Lynis: what it still suggests", LYNIS),
        ("ssh-audit: what it still warns of", SSH_AUDIT),
        ("systemd: units without a bound", UNITS),
    ):
        yield f"## {title}\n"
        yield table(("What", "Asks for", "Why not"), (_stays(each) for each in accepted))


def _stays(each: Accepted) -> tuple[str, str, str]:
    return ", ".join(code(name) for name in each.names), each.asks, each.why
