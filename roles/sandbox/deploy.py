"""Put the daemons' sandboxes on a host."""

from collections.abc import Iterator

from roles.kinds import IN_CONTAINER, Sandbox, resolved
from roles.mta.agents import agent
from roles.operations import RUN_DIRECTORY, converged, files_owned, layer, packages_installed
from roles.platforms import Platform
from roles.rendering import OwnedFile, rendered
from roles.sandbox import units
from roles.sandbox.defences import DEFENCES, unconfined
from roles.settings import CLAMD_SOCKET, SPAMD_SOCKET, Gateway

_PROFILES = "/etc/apparmor.d"
DROP_IN = "/etc/systemd/system/{unit}.d/sandbox.conf"
# A drop-in is no unit: what systemd says of it is asked of one that has nothing else. Unknown names are only warned of.
_CHECK = """for f in $stage/etc/systemd/system/*.d/sandbox.conf; do
  unit=$(mktemp -d)/bastide-check.service
  grep -v '^Exec' $f >$unit; echo 'ExecStart=/bin/true' >>$unit
  said=$(systemd-analyze verify $unit 2>&1 | grep -F $unit || true)
  rm -rf $(dirname $unit)
  if [ "$said" ]; then echo "$f: $said" >&2; exit 1; fi
done"""

# Parsed alone, without the kernel's help: what cannot be loaded does not reach the place that the next boot loads from.
_CHECK_PROFILES = f"""for f in $stage{_PROFILES}/*; do
  apparmor_parser --skip-kernel-load --skip-cache $f
done"""
# Where the kernel has none there is nothing to load, which the audit says (sandbox.apparmor).
_NO_APPARMOR = f'{IN_CONTAINER} || [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" != Y ]'
# Which profiles, or additions to them, are newer than what the kernel holds of them.
_STAMP = f"{RUN_DIRECTORY}/apparmor.stamp"
_STALE = f"""if [ -e {_STAMP} ]; then set -- -cnewer {_STAMP}
  else t=$(systemctl show -p ActiveEnterTimestamp --value apparmor.service); set -- -newerct "${{t:-@0}}"; fi
  find {_PROFILES} -name 'bastide-*' "$@\""""
# clamd's own profile gives way to ours. apparmor(7): the kernel lets go of one by its name.
_KERNEL = "/sys/kernel/security/apparmor"
_GIVEN_WAY = f"{_PROFILES}/disable/usr.sbin.clamd"


def _let_loose(gateway: Gateway, platform: Platform) -> Iterator[str]:
    """Give the questions which units run without their profiles and would be held after a start.

    Not asked of a profile that somebody has disabled (apparmor(7)), which the audit says, and not of a unit that is to name its
    profile and does not yet: its own layer writes it, and starts it anew.
    """
    for file, named in (*units.PACKAGED.values(), *units.OWN.values()):
        for unit in named:
            asked = unconfined([unit], gateway, states="unconfined")
            if file in ("bastide-filterd", "bastide-sendmail"):
                asked = f'[ -z "$(systemctl show -p AppArmorProfile --value {platform.unit(unit)})" ] || {{ {asked}; }}'
            yield f"[ -L {_PROFILES}/disable/{file} ] || {{ {asked}; }}"


@layer("Sandbox")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have the daemons start in their sandboxes, and those that run without them start anew."""
    if platform.mac == "apparmor":
        _profiled(gateway, platform)
    boxes = [
        (each.id, platform.unit(setting.unit), setting)
        for each in DEFENCES
        if each.stands(gateway)
        for setting in each.sets
        if isinstance(setting, Sandbox)
    ]
    files = [
        OwnedFile(
            path=DROP_IN.format(unit=unit),
            content=rendered(
                "sandbox",
                "sandbox.conf.j2",
                gateway,
                id=id_,
                directives=[
                    line for each in box.directives if (line := platform.here(resolved(each, gateway)))
                ],
            ),
        )
        for id_, unit, box in boxes
    ]
    if not files:
        return
    files_owned(name="Write the daemons' sandboxes", files=files, check=_CHECK)
    stale = "\n".join(
        f'[ "$(systemctl is-active {unit})" != active ] || '
        f'{{ [ "$(systemctl show -p NeedDaemonReload --value {unit})" = no ] && '
        f'[ "$(stat -c %Z {DROP_IN.format(unit=unit)})" -lt '
        f'"$(date -d "$(systemctl show -p ActiveEnterTimestamp --value {unit})" +%s)" ]; }} || echo {unit}'
        for _, unit, _ in boxes
    )
    converged(
        name="Run the daemons in their sandboxes",
        question=stale,
        wanted="",
        # When a daemon started is known by the second: one that starts in the second of its file would count as older.
        remedy=f"systemctl daemon-reload; sleep 1; for u in $({stale}); do systemctl restart $u; systemctl is-active --quiet $u; done",
    )


def _profiled(gateway: Gateway, platform: Platform) -> None:
    """Have AppArmor hold the daemons to their profiles."""
    packages_installed(
        name="Install AppArmor", packages=platform.packages["sandbox"], manager=platform.manager
    )
    files_owned(name="Write the daemons' profiles", files=_profiles(gateway), check=_CHECK_PROFILES)
    attached = "; ".join(_let_loose(gateway, platform))
    converged(
        name="Run the daemons under their profiles",
        question=f"[ -L {_GIVEN_WAY} ] || echo {_GIVEN_WAY}; "
        f"{_NO_APPARMOR} || {{ {_STALE}; grep -o '^/usr/sbin/clamd ' {_KERNEL}/profiles; {attached}; }}",
        wanted="",
        # A profile that comes when its daemon runs already is that daemon's from its next start on.
        remedy=f"mkdir -p $(dirname {_GIVEN_WAY}); ln -sfn ../usr.sbin.clamd {_GIVEN_WAY}; {_NO_APPARMOR} || {{\n"
        f"grep -q '^/usr/sbin/clamd ' {_KERNEL}/profiles && printf /usr/sbin/clamd >{_KERNEL}/.remove\n"
        f"apparmor_parser --replace {_PROFILES}/bastide-*; touch {_STAMP}\n"
        f"systemctl is-active --quiet apparmor.service || systemctl start apparmor.service\n"
        f"for u in $({attached}); do systemctl restart $u; done\n}}",
    )


def _profiles(gateway: Gateway) -> list[OwnedFile]:
    """Return our profiles, those of both MTAs: one whose program is not there does nothing."""
    mta = agent(gateway)
    values = {
        "milter_directory": mta.milter_directory,
        "injection": mta.injection,
        "clamd_socket": CLAMD_SOCKET,
        "spamd_socket": SPAMD_SOCKET,
        "runs_scanners": bool(gateway.filterd_policy.get("scanner")),
    }
    return [
        OwnedFile(
            path=f"{_PROFILES}/{file}",
            content=rendered("sandbox", f"apparmor/{name}.j2", gateway, **values),
        )
        for name, (file, _) in units.OWN.items()
    ]
