"""Postfix as the gateway's MTA."""

import shlex
from collections.abc import Iterator
from hashlib import sha256

from roles.dns.settings import refusals
from roles.kinds import DnsblSites, MainCf
from roles.mta import access, checking, known, outbound, relaying
from roles.mta.agents import AGENTS
from roles.mta.checking import DIRECTORY
from roles.mta.defences import DEFENCES
from roles.mta.defences.greeting import COMMAND_FILTER, COMMANDS
from roles.mta.defences.relay import own_networks
from roles.mta.handover.switching import old_configuration_gone, old_queue_written_down, queue_handed_in
from roles.mta.injection import INJECTION
from roles.mta.refusals import refused_by
from roles.mta.tls import deploy as tls
from roles.mta.tls.policy import next_hop_policies
from roles.operations import converged, files_owned, packages_installed, unit_current
from roles.platforms import Platform
from roles.rendering import BuiltFile, OwnedFile, lines, named_refusals, rendered
from roles.settings import Gateway

UNITS = "/etc/systemd/system"
SENDMAIL = " ".join(AGENTS["sendmail"].units)
FILES = ("main.cf", "master.cf", "transport", "tls_policy", "virtual", "postscreen_access", "dnsbl_reply")
# Opened before the daemon gives up root; a vendor's key may stand in it.
PRIVATE = "dnsbl_reply"
# Postfix's daemons run in a chroot with a copy of it, which Debian makes when the unit starts.
RESOLV_CONF = "/etc/resolv.conf"
COPY = f"/var/spool/postfix{RESOLV_CONF}"


def apply(gateway: Gateway, platform: Platform) -> None:
    """Have Postfix relay for the declared domains; it answers only after its configuration is ours."""
    if platform.mta["sendmail"]:
        old_queue_written_down("postfix", gateway.next_hop_ports, platform)
    converged(
        name="Have no unit of Sendmail's",
        question=f"cd {UNITS} && ls {SENDMAIL} 2>/dev/null",
        wanted="",
        remedy=f"systemctl --quiet disable --now {SENDMAIL}; cd {UNITS} && rm -f {SENDMAIL}; systemctl daemon-reload",
    )
    packages_installed(name="Install Postfix", packages=platform.mta["postfix"], manager=platform.manager)
    tls.written(gateway, platform)
    _directories_described(gateway)
    files = list(_files(gateway))
    # The list of recipients goes live with the rest, or not at all: whom a refused deploy takes out of it is still somebody.
    check = f"{known.INDEXED}\n{checking.CONFIGURATION}" if gateway.recipients else checking.CONFIGURATION
    files_owned(name="Write Postfix's configuration", files=files, check=check, built=_built(gateway))
    tls.kept(gateway)  # before it runs: from the first session on STARTTLS is offered
    unit_current(
        name="Run Postfix with its configuration",
        unit="postfix.service",
        files=[
            *(
                file.path
                for file in files
                if file.path.startswith(DIRECTORY) and file.path != known.LIST_FILE
            ),
            *known.directory_files(gateway),
        ],
        on_change="reload",
    )
    if platform.postfix_ready:
        converged(
            name="Have Postfix's daemons ask the host's resolver",
            question=f"cmp -s {RESOLV_CONF} {COPY} || echo another",
            wanted="",
            remedy=f"cp {RESOLV_CONF} {COPY}; postfix reload",
        )
    _rest_gone(gateway)
    if platform.mta["sendmail"]:
        old_configuration_gone("postfix")
        queue_handed_in("postfix")


def _files(gateway: Gateway) -> Iterator[OwnedFile]:
    values = {
        "parameters": list(lines(DEFENCES, MainCf, gateway)),
        "restrictions": relaying.lists(DEFENCES, gateway),
        "injection": INJECTION,
        "tls_policies": next_hop_policies(gateway),
        "sites": [
            (defence.id, setting.line(gateway))
            for defence in DEFENCES
            if defence.stands(gateway)
            for setting in defence.sets
            if isinstance(setting, DnsblSites)
        ],
        "texts": refusals(gateway.dnsbl),
        "services": outbound.SERVICES,
        "transport": known.spelled(gateway, outbound.transport(gateway)),
    }
    for name in FILES:
        yield OwnedFile(
            path=f"{DIRECTORY}/{name}",
            content=rendered("mta", f"postfix/{name}.j2", gateway, **values),
            mode="600" if name == PRIVATE else "644",
        )
    yield OwnedFile(path=f"{DIRECTORY}/refusals.pcre", content=named_refusals(DEFENCES, gateway))
    yield OwnedFile(path=COMMANDS, content=COMMAND_FILTER)
    yield refused_by(gateway)
    for name, text in access.rule_files(gateway).items():
        yield OwnedFile(path=f"{access.DIRECTORY}/{name}", content=text)
    for name, text in outbound.files(gateway).items():
        yield OwnedFile(path=f"{outbound.DIRECTORY}/{name}", content=text)
    if relaying.asked_first(gateway):
        yield OwnedFile(path=relaying.FIRST, content=relaying.table(DEFENCES, own_networks(gateway), gateway))
    if gateway.recipients:
        text = known.table_text(known.known(gateway), "postconf(5), relay_recipient_maps")
        yield OwnedFile(path=known.LIST_FILE, content=text, mode="640")
    if domains := known.verified(gateway):
        yield OwnedFile(path=known.VERIFIED_FILE, content=known.table_text(domains, "access(5)"))


def _built(gateway: Gateway) -> list[BuiltFile]:
    """Return the indexed list of recipients; Postfix's processes look whether the file is another (lmdb_table(5))."""
    if not gateway.recipients:
        return []
    entries = "\n".join(sorted(f"{key}\t{value}" for key, value in known.known(gateway).items()))
    wanted = sha256(f"{entries}\n".encode()).hexdigest()
    return [
        BuiltFile(
            path=f"{known.LIST_FILE}.lmdb",
            current=f'[ "$(postmap -s {known.LIST} | LC_ALL=C sort | sha256sum | cut -c1-64)" = {wanted} ]',
        )
    ]


def _directories_described(gateway: Gateway) -> None:
    """Have the directories described before a configuration names them: Postfix's checker opens the live files."""
    described = [
        OwnedFile(path=path, content=text, mode="640", group="postfix")
        for path, text in known.directory_files(gateway).items()
    ]
    if described:
        files_owned(name="Describe the directories", files=described, check=checking.DIRECTORIES)


def _rest_gone(gateway: Gateway) -> None:
    """Have no tables of rules, and no passwords of directories, that are declared no more; Postfix reads them no longer."""
    kept = sorted(
        [
            *(f"{access.DIRECTORY}/{name}" for name in access.rule_files(gateway)),
            *known.directory_files(gateway),
        ]
    )
    there = f"ls -d {access.DIRECTORY}/* {known.LDAP_FILES} 2>/dev/null | LC_ALL=C sort"
    names = " ".join(shlex.quote(name) for name in kept)
    converged(
        name="Have no tables of what is not declared",
        question=there,
        wanted="\n".join(kept),
        remedy=f'{there} | while read -r f; do case \' {names} \' in *" $f "*) ;; *) rm -f "$f" ;; esac; done',
    )
