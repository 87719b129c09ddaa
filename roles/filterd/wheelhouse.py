"""The wheelhouse: everything that a gateway installs for filterd, built here and locked by hash.

``python -m roles.filterd.wheelhouse [--out dist/wheelhouse/cp311] [--abi cp311]`` builds filterd's own wheel, fetches the
wheels of its locked dependencies for the gateway's Python, and writes

- ``*.whl``,
- ``requirements.lock``: ``name==version --hash=sha256:…`` for each of them, filterd included,
- ``release``: the name of this release, ``<version>+<first 8 digits of the lock's SHA-256>``.

The same inputs give the same bytes, and unchanged inputs give no work and no network. The gateway itself never
asks a package registry.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from roles.errors import SettingError

ROOT: Final = Path(__file__).resolve().parents[2]
# pyinfra and make run in the repository.
WHEELHOUSES: Final = Path("dist/wheelhouse")
ABI: Final = "cp311"  # Debian 12
_ABI: Final = r"cp3[0-9]{1,2}"
LOCK: Final = "requirements.lock"
RELEASE: Final = "release"
STAMP: Final = "inputs"
OWN: Final = "bastide-filterd"
# Times inside the wheel: any fixed one makes the build repeatable (reproducible-builds.org, SOURCE_DATE_EPOCH).
_EPOCH: Final = "1577836800"
# glibc 2.36 is Debian 12's; a wheel for an older one runs as well (PEP 600).
_PLATFORMS: Final = (
    *tuple(f"manylinux_2_{minor}_x86_64" for minor in range(36, 16, -1)),
    "manylinux2014_x86_64",
)


def wheelhouse(abi: str) -> Path:
    """Return the wheelhouse of gateways whose Python has that ABI."""
    return WHEELHOUSES / abi


def release(out: Path) -> str:
    """Return the release's name. Raises SettingError when the wheelhouse has not been built."""
    try:
        return (out / RELEASE).read_text().strip()
    except FileNotFoundError as error:
        other = re.fullmatch(_ABI, out.name) and out.name != ABI
        how = f"make wheel ABI={out.name}" if other else "make wheel"
        raise SettingError(f"{out} holds no release of filterd: build it with `{how}`") from error


def files(out: Path) -> list[Path]:
    """Return what the gateway needs: the wheels and their lock, in a fixed order."""
    release(out)
    return [*sorted(out.glob("*.whl")), out / LOCK]


def build(out: Path, abi: str = ABI) -> bool:
    """Bring the wheelhouse up to date. Returns whether there was anything to do; raises SettingError on failure."""
    locked = _locked()
    inputs = _inputs(locked, abi)
    if _is_current(out, inputs):
        return False
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".wheelhouse-") as scratch:
        fresh = Path(scratch) / "new"
        fresh.mkdir()
        _own_wheel(fresh)
        _dependencies(fresh, locked, abi)
        lock = "".join(_lock_lines(fresh))
        (fresh / LOCK).write_text(lock)
        digest = hashlib.sha256(lock.encode()).hexdigest()[:8]
        (fresh / RELEASE).write_text(f"{_project()['version']}+{digest}\n")
        (fresh / STAMP).write_text(inputs + "\n")
        # Whole or not at all: the old wheelhouse goes when the new one is complete.
        if out.exists():
            out.rename(Path(scratch) / "old")
        fresh.rename(out)
    return True


def _project() -> dict[str, str]:
    project: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _inputs(locked: str, abi: str) -> str:
    """Return a digest of all that the wheelhouse is made from."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    relevant = [pyproject["build-system"], pyproject["project"], pyproject["tool"]["hatch"], locked, abi]
    digest = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode())
    for path in (
        ROOT / "README.md",
        ROOT / "LICENSE",
        Path(__file__),
        *sorted(path for path in (ROOT / "filterd").rglob("*") if path.suffix in (".py", ".txt")),
    ):
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _is_current(out: Path, inputs: str) -> bool:
    try:
        if (out / STAMP).read_text().strip() != inputs:
            return False
        return (out / LOCK).read_text() == "".join(_lock_lines(out))
    except FileNotFoundError:
        return False


def _lock_lines(directory: Path) -> Iterator[str]:
    for wheel in sorted(directory.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        yield f"{name.replace('_', '-').lower()}=={version} --hash=sha256:{digest}\n"


def _run(what: str, command: Sequence[str | Path], **environment: str) -> str:
    """Run a tool in the repository and return its output. Raises SettingError with the tool's last words."""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-5:]
        raise SettingError(f"{what} failed ({command[0]} exit {done.returncode}): {' | '.join(last)}")
    return done.stdout


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise SettingError("uv is not installed: run `make setup`")
    return found


def _locked() -> str:
    """Return the run-time dependencies with their hashes, as uv.lock has them; needs no network."""
    command = (_uv(), "export", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate")
    return _run("reading uv.lock", command)


def _own_wheel(target: Path) -> None:
    _run(
        "building filterd's wheel",
        (_uv(), "build", "--quiet", "--wheel", "--out-dir", target, ROOT),
        SOURCE_DATE_EPOCH=_EPOCH,
    )
    # uv keeps its build directory out of version control; here it would only be in the way.
    (target / ".gitignore").unlink(missing_ok=True)


def _dependencies(target: Path, locked: str, abi: str) -> None:
    if not re.fullmatch(_ABI, abi):
        raise SettingError(f"--abi {abi} is not a CPython ABI; write it like {ABI}")
    requirements = target / "requirements.txt"
    requirements.write_text(locked)
    platforms = [argument for name in _PLATFORMS for argument in ("--platform", name)]
    _run(
        "fetching filterd's dependencies",
        (
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--require-hashes", "--only-binary=:all:", "--implementation", "cp", "--abi", abi,
            "--python-version", f"3.{abi.removeprefix('cp3')}", *platforms, "--dest", target, "-r", requirements,
        ),
    )  # fmt: skip
    requirements.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0, or 2 when the wheelhouse could not be built."""
    parser = argparse.ArgumentParser(description="Build the wheelhouse that a gateway installs filterd from.")
    parser.add_argument("--out", type=Path, help=f"directory of the wheelhouse (default: {WHEELHOUSES}/ABI)")
    parser.add_argument("--abi", default=ABI, help=f"ABI tag of the gateway's Python (default: {ABI})")
    options = parser.parse_args(arguments)
    given: Path = options.out or wheelhouse(options.abi)
    out = given.resolve()
    try:
        built = build(out, options.abi)
        print(f"filterd {release(out)} in {given}{'' if built else ' (unchanged)'}")
    except SettingError as error:
        print(f"wheelhouse: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
