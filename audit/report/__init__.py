"""Reports: the same results as a table for people, JSON for programs, JUnit XML for build servers."""

from pathlib import Path

from audit.errors import AuditError


def writable(*paths: Path | None) -> None:
    """Refuse a report file that cannot be written before a host is asked, not after. Raises AuditError."""
    for path in paths:
        if path is not None and not path.parent.is_dir():
            raise AuditError(f"{path}: its folder does not exist")
