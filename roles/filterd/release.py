"""Releases of filterd on a host: side by side below /opt/filterd, one of them current."""

import shlex
from collections.abc import Generator, Sequence
from io import BytesIO
from pathlib import Path
from tarfile import TarInfo
from tarfile import open as open_tar

from pyinfra import host
from pyinfra.api import FileUploadCommand, StringCommand, operation

from roles.operations import ShellAnswer, shell

DIRECTORY = "/opt/filterd"
# The current one, the one to go back to, and one more.
KEPT = 3


@operation()
def release_installed(
    release: str, wheels: Sequence[Path], python: str = "python3"
) -> Generator[StringCommand | FileUploadCommand, None, None]:
    """Have a release installed and current.

    ``wheels`` are wheels and their requirements.lock; the host asks no package registry and takes only files whose
    hashes stand in the lock. ``python`` runs it. The switch is one rename; the releases before stay for going back.
    """
    if host.get_fact(ShellAnswer, command=f"readlink {DIRECTORY}/current") == release:
        host.noop(f"filterd {release} is current")
        return
    name = shlex.quote(release)
    yield shell(f"mkdir -p {DIRECTORY}; rm -rf {DIRECTORY}/wheels.tar {DIRECTORY}/wheels")
    yield FileUploadCommand(BytesIO(_packed(wheels)), f"{DIRECTORY}/wheels.tar")
    # Releases are kept by when they were last made current; the pattern leaves the link `current` itself out.
    yield shell(f"""cd {DIRECTORY}
if ! [ -e {name}/complete ]; then
  rm -rf {name}
  mkdir wheels
  tar -xf wheels.tar -C wheels
  {python} -m venv {name}
  {name}/bin/pip --quiet --disable-pip-version-check install --no-index --no-deps --require-hashes --find-links wheels \
-r wheels/requirements.lock
fi
touch {name}/complete
rm -rf wheels wheels.tar
ln -sfn {name} .current
mv -fT .current current
ls -1dt -- [0-9]*/complete | tail -n +{KEPT + 1} | xargs -r -n 1 dirname | xargs -r rm -rf""")


def _packed(wheels: Sequence[Path]) -> bytes:
    """Return a tar archive of the files, without owners and times: the same bytes for the same files."""
    buffer = BytesIO()
    with open_tar(fileobj=buffer, mode="w") as archive:
        for path in sorted(wheels):
            content = path.read_bytes()
            entry = TarInfo(path.name)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, BytesIO(content))
    return buffer.getvalue()
