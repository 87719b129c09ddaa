"""A package as rpmbuild(8) wants to be told of it. Pure: text in, text out."""

import re
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatch

from lab.el.packages import LEFT, Rpm

RELEASE = "1.el9lab"


def upstream(version: str) -> str:
    """Return the upstream part of a Debian version (deb-version(7)) as RPM takes it: no epoch, no revision, no hyphen."""
    bare = version.partition(":")[2] or version
    bare = bare.rpartition("-")[0] or bare
    return re.split(r"\+(?:dfsg|really|ds|deb)", bare)[0].replace("-", ".").replace("+", ".")


def merged(path: str) -> str:
    """Return where a path is in a file system whose /bin, /sbin and /lib are links into /usr, as EL's is."""
    return re.sub(r"^/(bin|sbin|lib|lib64)/", r"/usr/\1/", path)


def destination(rpm: Rpm, path: str) -> str | None:
    """Return where the package has a file of Debian's, or None if it has not."""
    there = merged(path)
    taken = any(fnmatch(there, each) for each in rpm.taken)
    if not taken or any(fnmatch(there, each) for each in (*rpm.left, *LEFT)):
        return None
    for old, new in rpm.moved:
        if there == old or (old.endswith("/") and there.startswith(old)):
            return new + there[len(old) :]
    return there


def requires(
    rpm: Rpm, depends: Iterable[str], owner: Mapping[str, str], base: Collection[str]
) -> tuple[str, ...]:
    """Return what an RPM requires, from Debian's Depends lines: ``owner`` says which RPM has a package, ``base`` what the image has."""
    wanted = set(rpm.needs)
    for dependency in (each for line in depends for each in line.split(",")):
        names = [re.split(r"[\s:(]", each.strip())[0] for each in dependency.split("|")]
        if not names[0] or any(name in base for name in names):
            continue
        wanted.update([owner[name] for name in names if name in owner][:1])
    return tuple(sorted(wanted - {rpm.name}))


def text(
    rpm: Rpm, *, version: str, needs: Iterable[str], tree: str, folders: Iterable[str], files: Iterable[str]
) -> str:
    """Return the spec file of an RPM whose files stand in ``tree``; ``folders`` are those that are its own."""
    head = [
        f"Name: {rpm.name}",
        f"Version: {version}",
        f"Release: {RELEASE}",
        f"Summary: {rpm.name} of the EL-shaped lab",
    ]
    head += [
        "License: see the Debian package",
        "AutoReqProv: no",
        *([f"Epoch: {rpm.epoch}"] if rpm.epoch else []),
    ]
    head += [f"Requires: {each}" for each in needs] + [f"Provides: {each}" for each in rpm.provides]
    owned = [_owned(rpm, path) for path in files]
    after = rpm.after
    if any("/lib" in path and ".so" in path for path in files):
        after = f"/sbin/ldconfig\n{after}"
    if rpm.units:
        # As EL's macros do: presets decide, and nothing is started.
        after += f"[ $1 -ne 1 ] || systemctl --no-reload preset {' '.join(rpm.units)} >/dev/null 2>&1 || :\n"
    parts = ["\n".join(head), f"%description\nMade of Debian's {', '.join(rpm.debs) or 'own'}."]
    if rpm.users:
        parts.append(f"%pre\nsystemd-sysusers - <<'EOF' || :\n{rpm.users}EOF")
    if after:
        parts.append(f"%post\n{after}exit 0")
    if rpm.units:
        units = " ".join(rpm.units)
        parts.append(
            f"%preun\n[ $1 -ne 0 ] || systemctl --no-reload disable --now {units} >/dev/null 2>&1 || :"
        )
        parts.append(f"%postun\n[ $1 -lt 1 ] || systemctl try-restart {units} >/dev/null 2>&1 || :")
    parts.append(f"%install\nmkdir -p %{{buildroot}}\ncp -a {tree}/. %{{buildroot}}/")
    parts.append(
        "\n".join(["%files", "%defattr(-,root,root,-)", *(_folder(rpm, each) for each in folders), *owned])
    )
    return "\n".join([*parts, ""])


def names(packages: Iterable[str], provided: Mapping[str, tuple[str, ...]]) -> str:
    """Return the spec file of the release's package and of packages without files, of which a name is all there is."""
    lines = [
        "Name: rocky-release",
        "Version: 9.6",
        f"Release: {RELEASE}",
        "Summary: the EL-shaped lab's release",
    ]
    lines += [
        "License: none",
        "AutoReqProv: no",
        "Provides: system-release = 9.6",
        "Provides: redhat-release = 9.6",
    ]
    # dnf takes $releasever from who provides this.
    lines += ["Provides: system-release(releasever) = 9", "%description", "A stand-in."]
    for name in packages:
        lines += [f"%package -n {name}", "Version: 0.lab", f"Summary: {name}, its name alone"]
        lines += [f"Provides: {each}" for each in provided.get(name, ())]
        lines += [f"%description -n {name}", "A name."]
    return "\n".join([*lines, "%install", "%files", *(f"%files -n {name}" for name in packages), ""])


def _owned(rpm: Rpm, path: str) -> str:
    words = [f"%attr({','.join(rpm.modes[path])})"] if path in rpm.modes else []
    if any(fnmatch(path, each) for each in rpm.kept):
        words.append("%config(noreplace)")
    return " ".join([*words, f'"{path}"'])


def _folder(rpm: Rpm, path: str) -> str:
    mode = f"%attr({','.join(rpm.folders[path])}) " if path in rpm.folders else ""
    return f'{mode}%dir "{path}"'
