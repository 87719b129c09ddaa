"""Newer packages for the gateway: made on it of those that it has, in a repository of files that it takes for the lab's mirror.

`$tree/DEBIAN/postinst`, where a change writes one, is what runs once the package is unpacked, also of an RPM.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from roles.managers import APT
from roles.platforms import row
from tests.acceptance import newer_rpm
from tests.acceptance.gateway import SETTINGS, GatewayHost

_REPOSITORY: Final = newer_rpm.REPOSITORY
_LIST: Final = "/etc/apt/sources.list.d/zz-test.list"
# Of a package that the mirror has its .deb is taken apart, of one of the image its files are put together again.
_FUNCTIONS: Final = rf"""
set -e
repo={_REPOSITORY}
mkdir -p $repo
taken_apart() {{ # NAME: its tree, in $tree
  tree=$(mktemp -d /var/tmp/newer.XXXXXX)
  chmod 755 $tree
  if [ -e /srv/mirror/$1_*.deb ]; then dpkg-deb -R /srv/mirror/$1_*.deb $tree; return; fi
  mkdir -m 755 $tree/DEBIAN
  dpkg-query -L $1 | while read -r p; do if [ -L "$p" ] || [ ! -d "$p" ]; then [ ! -e "$p" ] || echo "$p"; fi; done >$tree.list
  sed s,^/,, $tree.list | tar -C / -cf - -T - | tar -C $tree -xf -
  dpkg-query -s $1 | sed -e '/^Status:/d' -e '/^Conffiles:/,/^[^ ]/{{/^Conffiles:/d;/^ /d}}' >$tree/DEBIAN/control
  for p in /var/lib/dpkg/info/$1.* /var/lib/dpkg/info/$1:*.*; do
    case $p in *.list | *.md5sums | *.conffiles | *'*'*) ;; *) cp $p $tree/DEBIAN/${{p##*.}} ;; esac
  done
  rm $tree.list
}}
put_together() {{ # SUFFIX of the version
  was=$(sed -n 's/^Version: //p' $tree/DEBIAN/control)
  # What is of the same source names this very version, too.
  sed -i -e "s/^\(Version: .*\)$/\1$1/" -e "s/(= $was)/(= $was$1)/g" $tree/DEBIAN/control
  dpkg-deb --root-owner-group -Znone -b $tree $repo >/dev/null
  rm -rf $tree
}}
indexed() {{
  cd $repo
  for d in *.deb; do
    dpkg-deb -f $d
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $d $(stat -c %s $d) $(sha256sum $d | cut -d' ' -f1)
  done >Packages
  printf 'Origin: bastide-lab\nLabel: test\nSuite: test\nDate: %s\nSHA256:\n %s %s Packages\n' \
    "$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S UTC')" $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) >Release
}}
"""


@contextmanager
def _of_apt(gateway: GatewayHost, changes: Mapping[str, str]) -> Iterator[None]:
    """Offer a newer version of each package for the block, its tree changed by a script that finds it in ``$tree``.

    Afterwards the gateway has its old versions again, whatever became of the new ones.
    """
    script = _FUNCTIONS
    for name, change in changes.items():
        # The present version as well: where it is of the image, no repository has it.
        script += (
            f"taken_apart {name}; put_together ''\ntaken_apart {name}\n{change}\nput_together +bastide1\n"
        )
    script += f"indexed\necho 'deb [trusted=yes] file:{_REPOSITORY} ./' >{_LIST}\n"
    before = {name: _version_by_apt(gateway, name) for name in changes}
    timers = "systemctl list-units --type=timer --state=active --plain --no-legend | cut -d' ' -f1"
    active = " ".join(gateway.run(timers).split())
    gateway.run(script)
    try:
        yield
    finally:
        back = " ".join(f"{name}={was}" for name, was in before.items())
        gateway.run(
            "export DEBIAN_FRONTEND=noninteractive; rm -f /var/lib/bastide-updates/preferences; "
            f"dpkg --force-confold --configure -a >/dev/null; apt-get -q update >/dev/null; "
            f"auto=$(apt-mark showauto {' '.join(before)}); "
            f"apt-get -q -y --allow-downgrades --reinstall -o Dpkg::Options::=--force-confold install {back} >/dev/null; "
            '[ -z "$auto" ] || apt-mark auto $auto >/dev/null; '
            f"systemctl start {active}; rm -rf {_REPOSITORY} {_LIST} /run/bastide-notes/updates; apt-get -q update >/dev/null"
        )


def _version_by_apt(gateway: GatewayHost, name: str) -> str:
    """Return the version of a package that is installed and configured, or ""."""
    return gateway.run(
        f"dpkg-query -W -f '${{db:Status-Status}} ${{Version}}' {name} | sed -n 's/^installed //p'"
    )


# By the platform's package manager.
_APT: Final = row(SETTINGS).manager is APT
offered = _of_apt if _APT else newer_rpm.offered
version = _version_by_apt if _APT else newer_rpm.version
