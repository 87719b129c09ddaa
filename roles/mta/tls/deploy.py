"""Give the MTA its certificate, and the daemon that fetches other domains' MTA-STS policies."""

from typing import Final

from roles.mta.agents import agent
from roles.mta.tls.policy import DIRECTORY, MTA_STS_UNIT, PAIR, SCRIPT, TIMER, fetches_policies
from roles.operations import NOTES, converged, files_owned, packages_installed, unit_current
from roles.platforms import Platform
from roles.rendering import OwnedFile, rendered
from roles.settings import Gateway, Mta

UNITS: Final = "/etc/systemd/system"
ACME_STATE: Final = "/var/lib/bastide-acme"
ACME_UNIT: Final = "bastide-acme.service"
CERTIFICATE_UNIT: Final = "bastide-certificate.service"
# How the MTA takes a new pair; sessions that are under way end with the old one.
_VERB: Final[dict[Mta, str]] = {"postfix": "reload", "sendmail": "restart"}
# When it is looked at: a file that was changed soon, an authority twice a day as Let's Encrypt asks for.
_CALENDAR: Final = {
    "self-signed": ("daily", "1h"),
    "files": ("hourly", "5min"),
    "acme": ("*-*-* 03,15:00", "2h"),
}
_MTA_STS_FILES: Final = ("/etc/mta-sts-daemon.yml", f"{UNITS}/{MTA_STS_UNIT}.d/bastide.conf")


def written(gateway: Gateway, platform: Platform) -> None:
    """Have what keeps the MTA's certificate, and what fetches MTA-STS policies; nothing of it runs yet."""
    packages_installed(name="Install OpenSSL", packages=platform.parts["tls"], manager=platform.manager)
    if gateway.tls.certificate == "acme":
        packages_installed(
            name="Install the ACME client", packages=platform.parts["acme"], manager=platform.manager
        )
    script, *units = _certificate_files(gateway)
    files_owned(name="Write what checks the certificate", files=[script], check=f"sh -n $stage{SCRIPT}")
    files_owned(
        name="Write what keeps the certificate",
        files=units,
        check=f"systemd-analyze verify {' '.join(f'$stage{file.path}' for file in units)}",
    )
    if not fetches_policies(gateway):
        return
    packages_installed(
        name="Install the MTA-STS daemon", packages=platform.parts["mta-sts"], manager=platform.manager
    )
    names = ("mta-sts-daemon.yml", "mta-sts.conf")
    files_owned(
        name="Write the MTA-STS daemon's configuration",
        files=[
            OwnedFile(path=path, content=rendered("mta", f"tls/{name}.j2", gateway))
            for path, name in zip(_MTA_STS_FILES, names, strict=True)
        ],
        check="python3 -c 'import sys; from postfix_mta_sts_resolver.utils import load_config; load_config(sys.argv[1])' "
        f"$stage{_MTA_STS_FILES[0]}",
    )


def kept(gateway: Gateway) -> None:
    """Have a certificate that the MTA can offer, kept by a timer of its own, and MTA-STS policies fetched."""
    converged(
        name="Have a certificate",
        question=f"{SCRIPT} state",
        wanted="good",
        remedy=f"{SCRIPT} ensure",
    )
    unit_current(
        name="Keep the certificate",
        unit=TIMER,
        files=[file.path for file in _certificate_files(gateway)],
        on_change="restart",
    )
    _asked_for(gateway)
    if fetches_policies(gateway):
        unit_current(
            name="Run the MTA-STS daemon with its configuration",
            unit=MTA_STS_UNIT,
            files=_MTA_STS_FILES,
            on_change="restart",
        )
    else:
        converged(
            name="Fetch no MTA-STS policies",
            question=f"systemctl is-enabled {MTA_STS_UNIT} | grep -x enabled",
            wanted="",
            remedy=f"systemctl --quiet disable --now {MTA_STS_UNIT}",
        )


def _asked_for(gateway: Gateway) -> None:
    """Have an authority asked for the certificate where that is wanted, and nobody elsewhere."""
    if gateway.tls.certificate == "acme":
        converged(
            name="Ask for the certificate",
            question=f"test -e {ACME_STATE}/certificates/{gateway.hostname}.crt && echo there",
            wanted="there",
            # Whether the authority grants it is not ours: until it does the timer asks, and the audit says so.
            remedy=f"systemctl start {ACME_UNIT} || journalctl --quiet -n 20 -o cat -u {ACME_UNIT} >&2",
        )
    else:
        converged(
            name="Ask no authority",
            question=f"ls {UNITS}/{ACME_UNIT}",
            wanted="",
            remedy=f"rm -f {UNITS}/{ACME_UNIT}; systemctl daemon-reload",
        )


def _certificate_files(gateway: Gateway) -> list[OwnedFile]:
    """Return the script and the units that keep the certificate."""
    source = gateway.tls.certificate
    calendar, spread = _CALENDAR[source]
    values = {
        "source": source,
        "pair": PAIR,
        "directory": DIRECTORY,
        "notes": NOTES,
        "script": SCRIPT,
        "unit": agent(gateway).units[0],
        "verb": _VERB[gateway.mta],
        "owner": agent(gateway).tls_user,
        "acme": gateway.tls.acme,
        "acme_directory": ACME_STATE,
        "challenge": _challenge(gateway),
        "timed": ACME_UNIT if source == "acme" else CERTIFICATE_UNIT,
        "calendar": calendar,
        "spread": spread,
    }
    names = {SCRIPT: "certificate.sh", f"{UNITS}/{CERTIFICATE_UNIT}": "certificate.service"}
    names[f"{UNITS}/{TIMER}"] = "certificate.timer"
    if source == "acme":
        names[f"{UNITS}/{ACME_UNIT}"] = "acme.service"
    return [
        OwnedFile(
            path=path,
            content=rendered("mta", f"tls/{name}.j2", gateway, **values),
            mode="755" if path == SCRIPT else "644",
        )
        for path, name in names.items()
    ]


def _challenge(gateway: Gateway) -> str:
    """Return lego's options for the way of proof."""
    acme = gateway.tls.acme
    if acme.challenge == "http-01":
        return "--http --http.port :80"
    # It would look at the zone's own servers whether the record is there; where resolvers are declared it cannot reach them.
    return f"--dns {acme.dns_provider}" + (" --dns.disable-cp" if gateway.resolvers else "")
