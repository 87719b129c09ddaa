"""Put the daemons' sandboxes on a host."""

from roles.kinds import IN_CONTAINER, Sandbox
from roles.operations import converged, files_owned, layer, packages_installed
from roles.platforms import Platform
from roles.rendering import OwnedFile, rendered
from roles.sandbox.defences import DEFENCES, UNPROFILED
from roles.settings import Gateway

DROP_IN = "/etc/systemd/system/{unit}.d/sandbox.conf"
# A drop-in is no unit: what systemd says of it is asked of one that has nothing else. Unknown names are only warned of.
_CHECK = """for f in $stage/etc/systemd/system/*.d/sandbox.conf; do
  unit=$(mktemp -d)/bastide-check.service
  grep -v '^Exec' $f >$unit; echo 'ExecStart=/bin/true' >>$unit
  said=$(systemd-analyze verify $unit 2>&1 | grep -F $unit || true)
  rm -rf $(dirname $unit)
  if [ "$said" ]; then echo "$f: $said" >&2; exit 1; fi
done"""


@layer("Sandbox")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have the daemons start in their sandboxes, and those that run without them start anew."""
    packages_installed(name="Install AppArmor", packages=platform.packages["sandbox"])
    converged(
        name="Run the daemons under their profiles",
        question=f"{IN_CONTAINER} || {{ {UNPROFILED}; }}",
        wanted="",
        remedy=f"systemctl is-active --quiet apparmor.service || systemctl start apparmor.service; "
        f"for u in $({UNPROFILED}); do systemctl restart $u; done",
    )
    boxes = [
        (each.id, setting)
        for each in DEFENCES
        if each.stands(gateway)
        for setting in each.sets
        if isinstance(setting, Sandbox)
    ]
    files = [
        OwnedFile(
            path=DROP_IN.format(unit=box.unit),
            content=rendered("sandbox", "sandbox.conf.j2", gateway, id=id_, directives=box.directives),
        )
        for id_, box in boxes
    ]
    if not files:
        return
    files_owned(name="Write the daemons' sandboxes", files=files, check=_CHECK)
    stale = "\n".join(
        f'[ "$(systemctl is-active {box.unit})" != active ] || '
        f'{{ [ "$(systemctl show -p NeedDaemonReload --value {box.unit})" = no ] && '
        f'[ "$(stat -c %Z {DROP_IN.format(unit=box.unit)})" -lt '
        f'"$(date -d "$(systemctl show -p ActiveEnterTimestamp --value {box.unit})" +%s)" ]; }} || echo {box.unit}'
        for _, box in boxes
    )
    converged(
        name="Run the daemons in their sandboxes",
        question=stale,
        wanted="",
        remedy=f"systemctl daemon-reload; for u in $({stale}); do systemctl restart $u; systemctl is-active --quiet $u; done",
    )
