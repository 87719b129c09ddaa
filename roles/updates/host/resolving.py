"""What dnf's resolver would do, as JSON: a program of its own for the distribution's Python, which is dnf's. dnf's API reference.

    resolving.py candidates | sources
    resolving.py plan < {"which": "security"|"all", "repositories": [...], "left": [names]}

It installs nothing. It is to run on Python 3.9.
"""

import json
import sys
from typing import Any

import dnf  # type: ignore[import-not-found,unused-ignore]


def _filled(base: Any) -> Any:  # noqa: ANN401 - dnf has no types
    """Return dnf's books, filled as its own commands fill them: versions that are barred, and plugins, count."""
    base.conf.read()
    base.conf.substitutions.update_from_etc(base.conf.installroot)
    base.init_plugins()
    base.pre_configure_plugins()
    base.read_all_repos()
    base.configure_plugins()
    # What is replaced or removed has no way back; one package that cannot be installed is no reason to leave out the others.
    base.conf.obsoletes = False
    base.conf.best = False
    base.conf.install_weak_deps = False
    base.conf.clean_requirements_on_remove = False
    base.fill_sack()
    return base


def _named(packages: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401
    return sorted((one.name, one.arch, one.evr) for one in packages)


def candidates(base: Any) -> object:  # noqa: ANN401
    """Return name, architecture and version of all that is newer somewhere."""
    return _named(base.sack.query().upgrades().latest())


def sources(base: Any) -> object:  # noqa: ANN401
    """Return each enabled repository, and whether it says which of its updates are for security."""
    return [(one.id, bool(one.get_metadata_path("updateinfo"))) for one in base.repos.iter_enabled()]


def plan(base: Any, which: str, repositories: list[str], left: list[str]) -> object:  # noqa: ANN401
    """Return what is wanted, and what would be installed for it."""
    if left:
        base.sack.add_excludes(base.sack.query().available().filterm(name=left))
    newer = base.sack.query().upgrades()
    if which == "security":
        # What a declared repository gives out, and what an advisory of any names.
        advised = newer.filter(advisory_type="security").latest()
        newer = advised.union(newer.filter(reponame=repositories).latest()).latest()
    else:
        newer = newer.latest()
    for one in newer:
        base.package_upgrade(one)
    base.resolve(allow_erasing=False)
    return {"wanted": _named(newer), "installs": _named(base.transaction.install_set)}


def main() -> None:
    """Answer one question."""
    with dnf.Base() as base:
        _filled(base)
        if sys.argv[1] == "plan":
            found = plan(base, **json.load(sys.stdin))
        else:
            found = {"candidates": candidates, "sources": sources}[sys.argv[1]](base)
        json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
