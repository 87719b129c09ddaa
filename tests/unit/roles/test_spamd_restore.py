"""The plugin that keeps spamd from putting its configuration back for nothing, in a real Perl, SpamAssassin's part played."""

import subprocess
from pathlib import Path

import pytest

from roles.rendering import rendered
from tests.unit.roles.examples import gateway

# What of SpamAssassin the plugin touches, and how often and with what it was called.
SPAMASSASSIN = """
package Mail::SpamAssassin; sub copy_config { push @main::did, "back @_"; 1 }
package Mail::SpamAssassin::Conf; sub parse_scores_only { push @main::did, "read @_" }
package Mail::SpamAssassin::Plugin; sub new { bless {}, shift }
package main; $INC{'Mail/SpamAssassin/Plugin.pm'} = 1; our @did;
require $ARGV[0];
sub born { Bastide::Restore->new->spamd_child_init or die }
sub message { Mail::SpamAssassin::copy_config('engine', 'backup') or die 'spamd takes this for an error' }
sub preferences { Mail::SpamAssassin::Conf::parse_scores_only('conf', 'text') }
END { print join ',', @did }
"""


def did(program: str, home: Path) -> list[str]:
    plugin = home / "restore.pm"
    plugin.write_text(rendered("spamassassin", "restore.pm.j2", gateway()))
    argv = ["perl", "-w", "-e", program, str(plugin)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split(",") if done.stdout else []


@pytest.mark.parametrize(
    ("deeds", "expected"),
    [
        ("message(); message();", ["back engine backup"] * 2),  # the parent, and programs that are not spamd
        ("born(); message(); message();", []),
        (
            "born(); message(); preferences(); preferences(); message(); message(); preferences(); message();",
            [
                "read conf text",
                "read conf text",
                "back engine backup",
                "read conf text",
                "back engine backup",
            ],
        ),
    ],
    ids=["no-child", "nothing-read", "preferences-read"],
)
def test_the_configuration_is_put_back_only_where_something_was_read(
    deeds: str, expected: list[str], tmp_path: Path
) -> None:
    assert did(SPAMASSASSIN + deeds, tmp_path) == expected


@pytest.mark.parametrize("name", ["copy_config", "parse_scores_only"])
def test_a_spamassassin_that_calls_these_otherwise_is_left_alone(name: str, tmp_path: Path) -> None:
    other = SPAMASSASSIN.replace(f"sub {name} ", "sub other ")
    calls = "Mail::SpamAssassin::other();" if name == "copy_config" else "message();"
    assert did(f"{other} born(); {calls}", tmp_path)[0].startswith("back")
