"""Newer RPMs for the gateway: made on it of those of the lab's mirror, and indexed on this machine, whose createrepo_c it has not."""

import base64
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.acceptance.gateway import GatewayHost

REPOSITORY: Final = "/srv/test-updates"
_LIST: Final = "/etc/yum.repos.d/zz-test.repo"
_LOCKS: Final = "/etc/dnf/plugins/versionlock.list"
# The file of the mirror that a package was installed from.
_FUNCTIONS: Final = rf"""
set -e
repo={REPOSITORY}
mkdir -p $repo
file_of() {{ # NAME
  for f in /srv/mirror/$1-[0-9]*.rpm; do
    [ "$(rpm -qp --qf '%{{NAME}}' $f 2>/dev/null)" != $1 ] || {{ echo $f; return; }}
  done
  echo "the mirror has no RPM of $1" >&2; return 1
}}
taken_apart() {{ # NAME: its tree, in $tree
  file=$(file_of $1)
  tree=$(mktemp -d /var/tmp/newer.XXXXXX)
  chmod 755 $tree
  rpm2archive - <$file | tar -C $tree -xzf -
}}
section() {{ # NAME TAG: a script of the package's
  text=$(rpm -qp --qf "%{{$2}}" $file 2>/dev/null)
  [ "$text" = '(none)' ] || printf '%%%s\n%s\n' $1 "$text"
}}
put_together() {{ # SUFFIX of the release
  spec=$tree.spec
  epoch=$(rpm -qp --qf '%|EPOCH?{{Epoch: %{{EPOCH}}}}|' $file)
  {{
    rpm -qp --qf "Name: %{{NAME}}\nVersion: %{{VERSION}}\nRelease: %{{RELEASE}}$1\nSummary: a test\nLicense: none\nAutoReqProv: no\n" $file
    [ -z "$epoch" ] || echo "$epoch"
    rpm -qp --requires $file | grep -v '^rpmlib(' | sed 's/^/Requires: /' || true
    rpm -qp --provides $file | grep -v "^$(rpm -qp --qf '%{{NAME}}' $file)\b" | sed 's/^/Provides: /' || true
    printf '%%description\nA test.\n'
    section pre PREIN; section preun PREUN; section postun POSTUN
    if [ -e $tree/DEBIAN/postinst ]; then
      echo '%post'; sed 's/%/%%/g' $tree/DEBIAN/postinst; rm -r $tree/DEBIAN
    else
      section post POSTIN
    fi
    printf '%%install\nmkdir -p %%{{buildroot}}\ncp -a %s/. %%{{buildroot}}/\n%%files\n' $tree
    rpm -qp --qf '[%{{FILEFLAGS:fflags}}|%{{FILEMODES:octal}}|%{{FILEUSERNAME}}|%{{FILEGROUPNAME}}|%{{FILENAMES}}\n]' $file |
      while IFS='|' read -r flags mode user group name; do
        [ "$name" ] || continue
        case $flags in *c*) echo -n '%config(noreplace) ' ;; esac
        case $mode in
          40*) echo -n "%attr(${{mode#??}},$user,$group) %dir " ;;
          12*) ;;
          *) echo -n "%attr(${{mode#??}},$user,$group) " ;;
        esac
        echo "\"$name\""
      done
  }} >$spec
  rpmbuild -bb --quiet --target x86_64 --define "_topdir $tree.top" --define "_rpmdir $repo" \
    --define '_rpmfilename %%{{NAME}}-%%{{VERSION}}-%%{{RELEASE}}.%%{{ARCH}}.rpm' \
    --define '__os_install_post %{{nil}}' --define 'debug_package %{{nil}}' --define '_build_id_links none' $spec >/dev/null 2>$tree.said ||
    {{ cat $tree.said $spec >&2; exit 1; }}
  rm -rf $tree $tree.*
}}
"""


@contextmanager
def offered(gateway: GatewayHost, changes: Mapping[str, str]) -> Iterator[None]:
    """Offer a newer version of each package for the block, named by an advisory, its tree changed by a script that finds it in ``$tree``.

    Afterwards the gateway has its old versions again, whatever became of the new ones.
    """
    script = _FUNCTIONS
    for name, change in changes.items():
        script += f"taken_apart {name}\n{change}\nput_together +bastide1\n"
    timers = "systemctl list-units --type=timer --state=active --plain --no-legend | cut -d' ' -f1"
    active = " ".join(gateway.run(timers).split())
    gateway.run(script)
    _indexed(gateway)
    try:
        yield
    finally:
        files = " ".join(f"$(file_of {name})" for name in changes)
        gateway.run(
            f"{_FUNCTIONS}\nrm -rf {REPOSITORY} {_LIST} /run/bastide-notes/updates; : >{_LOCKS}; "
            f"rpm -U --oldpackage --replacepkgs --replacefiles --nodeps --nosignature {files} >/dev/null 2>&1; "
            f"systemctl start {active}"
        )


def _indexed(gateway: GatewayHost) -> None:
    """Have the repository be one, its packages named by an advisory, and dnf know it."""
    form = (
        '<package name="%{NAME}" version="%{VERSION}" release="%{RELEASE}" epoch="%{EPOCHNUM}" arch="%{ARCH}">'
        "<filename>%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm</filename></package>"
    )
    packages = gateway.run(f"cd {REPOSITORY}; rpm -qp --nosignature --qf '{form}' *.rpm")
    advisory = (
        '<updates><update from="lab" status="stable" type="security" version="1"><id>LAB-2026:1</id><title>A test</title>'
        f'<issued date="2026-01-01 00:00:00"/><pkglist><collection short="t"><name>t</name>{packages}</collection></pkglist>'
        "</update></updates>"
    )
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        archive = base64.b64decode(gateway.run(f"cd {REPOSITORY}; tar -cf - *.rpm | base64 -w 0"))
        subprocess.run(["tar", "-xf", "-", "-C", place], input=archive, check=True)
        (place / "updateinfo.xml").write_text(advisory)
        _quietly("createrepo_c", "--quiet", str(place))
        _quietly(
            "modifyrepo_c", "--mdtype=updateinfo", str(place / "updateinfo.xml"), str(place / "repodata")
        )
        made = subprocess.run(
            ["tar", "-czf", "-", "-C", place, "repodata"], capture_output=True, check=True
        ).stdout
    text = f"[zz-test]\\nname=Tests\\nbaseurl=file://{REPOSITORY}\\nenabled=1\\ngpgcheck=0\\nmetadata_expire=1\\n"
    coded = base64.b64encode(made).decode()
    gateway.run(
        f"cd {REPOSITORY}; echo {coded} | base64 -d | tar -xzf -; printf '{text}' >{_LIST}; dnf -q makecache"
    )


def _quietly(*words: str) -> None:
    subprocess.run(words, capture_output=True, check=True)


def version(gateway: GatewayHost, name: str) -> str:
    """Return the version of a package, or "" where it is not there, or is there twice since an installation did not end."""
    found = gateway.run(f"rpm -q --qf '%{{EVR}}\\n' {name}", check=False).split()
    return found[0] if len(found) == 1 else ""
