"""Where `filterd reconcile` reads the log: of the journal so much that nothing about a range is cut off."""

import sys
from pathlib import Path

import pytest

from filterd.cli.reconciling import _journal

# A journal of an entry each 1000 s, which understands what is asked of journalctl(1).
JOURNALCTL = """#!{python}
import sys
asked = dict(one.removeprefix("--").partition("=")[::2] for one in sys.argv[1:])
since, until = (float(asked.get(name, default).lstrip("@")) for name, default in (("since", "0"), ("until", "1e9")))
entries = [str(at) for at in range(0, 100_000, 1000) if since <= at <= until]
print("\\n".join(entries[-int(asked.get("lines", "1000")):]))
"""


@pytest.mark.parametrize(
    ("since", "until", "ends"),
    [
        (50_500, 60_500, ("46000", "99000")),
        (None, 60_500, ("0", "99000")),
        (50_500, None, ("46000", "99000")),
        (500, 1500, ("0", "99000")),
    ],
)
def test_the_journal_is_read_beyond_the_range(
    since: int | None,
    until: int | None,
    ends: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = tmp_path / "journalctl"
    program.write_text(JOURNALCTL.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with _journal(since and since * 1000, until and until * 1000) as lines:
        got = [line.strip() for line in lines]
    assert got == sorted(got, key=int)
    assert (got[0], got[-1]) == ends
    # What lies an hour about it is there whole.
    whole = [
        str(at) for at in range(0, 100_000, 1000) if (since or 0) - 3600 <= at <= (until or 100_000) + 3600
    ]
    assert set(whole) <= set(got)
    assert len(got) <= len(whole) + 2
