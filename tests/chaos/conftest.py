"""Fixtures: the databases of the unit tests."""

from tests.unit.filterd.conftest import ledger_settings, postgres

__all__ = ["ledger_settings", "postgres"]
