"""P14: to another release of filterd and back, by the role, under traffic, with a step of the ledger's tables each way."""

import contextlib
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from filterd import __version__
from filterd.ledger import database
from lab.plan import LabState
from roles.filterd.release import DIRECTORY
from tests.acceptance.desk import FILTERD, good
from tests.acceptance.gateway import ROOT, GatewayHost
from tests.acceptance.labs import INVENTORY, pyinfra
from tests.acceptance.letters import GROUPS
from tests.acceptance.outside import Outside
from tests.acceptance.test_deploy import varied
from tests.chaos import live
from tests.chaos.senders import CHAINS
from tests.chaos.traffic import ACCEPTED, LATER

NEXT = "0.999.0"
# The one layer whose release changes.
DEPLOY = """
from pyinfra import host
from roles.filterd import deploy as filterd
from roles.session import prepared

filterd.apply(*prepared(host))
"""
REVISION = database.NEWEST + 1
RULES = f"data.update(filterd_policy={ {'policy': {'chains': CHAINS}, 'group': list(GROUPS)}!r})"
# A column in the largest table, and readers that must know of it: there is no way back but by a downgrade.
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "@THIS@"
down_revision = "@BEFORE@"


def upgrade() -> None:
    with op.batch_alter_table("messages") as table:
        table.add_column(sa.Column("novelty", sa.Text, nullable=False, server_default="new"))
    op.execute("UPDATE ledger_readers SET oldest = @THIS@")


def downgrade() -> None:
    with op.batch_alter_table("messages") as table:
        table.drop_column("novelty")
    op.execute("UPDATE ledger_readers SET oldest = 1")
"""


@pytest.fixture
def next_tree(tmp_path: Path) -> Path:
    """Return a checkout of the release after this one, with its wheelhouse."""
    tree = tmp_path / "next"
    shutil.copytree(
        ROOT, tree, ignore=shutil.ignore_patterns(".*", "dist", "__pycache__", "tests", "audit", "docs")
    )
    for file, old, new in (
        ("pyproject.toml", f'version = "{__version__}"', f'version = "{NEXT}"'),
        ("filterd/__init__.py", __version__, NEXT),
        (
            "filterd/ledger/database.py",
            f"NEWEST: Final = {database.NEWEST}",
            f"NEWEST: Final = {REVISION}",
        ),
    ):
        text = (tree / file).read_text()
        assert text.count(old) == 1
        (tree / file).write_text(text.replace(old, new))
    migration = MIGRATION.replace("@THIS@", f"{REVISION:04}").replace("@BEFORE@", f"{database.NEWEST:04}")
    (tree / f"filterd/ledger/migrations/versions/r{REVISION:04}_novelty.py").write_text(migration)
    subprocess.run([sys.executable, "-m", "roles.filterd.wheelhouse"], cwd=tree, check=True, timeout=300)
    return tree


def test_to_the_next_release_and_back_under_traffic(
    lab: LabState, wan: Outside, gateway: GatewayHost, next_tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "filterd.py").write_text(DEPLOY)
    changed = partial(
        _deployed, str(tmp_path / "filterd.py"), lab=lab.name, inventory=varied(tmp_path, RULES)
    )
    changed(tree=ROOT)
    try:
        with live.trial(wan, gateway, contextlib.nullcontext()) as (senders, result):
            senders.await_more(5)
            changed(tree=next_tree)
            assert _release(gateway) == (NEXT, REVISION)
            senders.await_more(5)
            # docs/ledger.md: the way back. This release would not touch tables that are too new for it.
            gateway.run(f"systemctl stop filterd && {FILTERD} ledger downgrade {database.NEWEST}")
            changed(tree=ROOT)
            assert _release(gateway) == (__version__, database.NEWEST)
            senders.await_more(5)
        assert not result.wrong, result.wrong[:20]
        # No connection is cut and nothing is refused for good.
        assert set(result.tries) <= {ACCEPTED, LATER}, result
    finally:
        _deployed(str(tmp_path / "filterd.py"), lab=lab.name, inventory=INVENTORY, tree=ROOT)


def _deployed(file: str, *, lab: str, inventory: str, tree: Path) -> None:
    done = pyinfra(file, lab=lab, inventory=inventory, tree=tree)
    assert done.returncode == 0, done.stderr[-4000:]


def _release(gateway: GatewayHost) -> tuple[str, int]:
    """Return the version that runs, by the files it has mapped, and the revision of the tables."""
    pid = "$(systemctl show -p MainPID --value filterd)"
    mapped = gateway.run(f"grep -o '{DIRECTORY}/[^/]*' /proc/{pid}/maps | sort -u").split()
    (release,) = (one.removeprefix(f"{DIRECTORY}/") for one in mapped)
    return release.partition("+")[0], good(gateway, "ledger", "status")["revision"]
