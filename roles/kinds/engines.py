"""Kinds of the filter and its engines: options of ClamAV, SpamAssassin and filterd."""

import json
import shlex
from dataclasses import dataclass

from roles.kinds.base import LineOption
from roles.platforms import row
from roles.settings import Gateway


@dataclass(frozen=True, slots=True)
class ClamdOption(LineOption):
    """A clamd.conf(5) option, read back through ClamAV's own parser (clamconf)."""

    def question(self, gateway: Gateway) -> str:
        del gateway
        # clamconf prints clamd.conf first; freshclam.conf follows behind its own headline.
        return f"clamconf | sed '/^Config file: freshclam.conf/,$d' | sed -n 's/^{self.key} = //p'"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return answer.strip().strip('"').lower() == self.wanted(gateway).lower()


@dataclass(frozen=True, slots=True)
class FreshclamOption(LineOption):
    """A freshclam.conf(5) option, read back through ClamAV's own parser (clamconf)."""

    def question(self, gateway: Gateway) -> str:
        del gateway
        return f"clamconf | sed '1,/^Config file: freshclam.conf/d' | sed -n 's/^{self.key} = //p'"

    def holds(self, answer: str, gateway: Gateway) -> bool:
        return answer.strip().strip('"').lower() == self.wanted(gateway).lower()


@dataclass(frozen=True, slots=True)
class SpamassassinOption(LineOption):
    """A setting of Mail::SpamAssassin::Conf(3), read back through SpamAssassin's own parser."""

    def question(self, gateway: Gateway) -> str:
        del gateway
        program = (
            # It looks for a directory to keep state in by writing a file to root's home; a question writes nothing.
            "sub Mail::SpamAssassin::set_global_state_dir {} "
            "my $s = Mail::SpamAssassin->new({dont_copy_prefs => 1, local_tests_only => 1});"
            f"$s->init(0); print $s->{{conf}}->{{{self.key}}}"
        )
        return f"perl -MMail::SpamAssassin -e {shlex.quote(program)}"


@dataclass(frozen=True, slots=True)
class FilterdOption(LineOption):
    """A setting of filterd.toml, ``table.name``, read back through filterd's own loader; the value is JSON's spelling."""

    @property
    def table(self) -> str:
        """The table that the setting stands in, itself perhaps inside of another (``policy.chains``)."""
        return self.key.rpartition(".")[0]

    def line(self, gateway: Gateway) -> str:
        return f"{self.key.rpartition('.')[2]} = {self.wanted(gateway)}"

    def question(self, gateway: Gateway) -> str:
        place = "".join(f"[{name!r}]" for name in self.key.split("."))
        program = f"import json, sys; print(json.dumps(json.load(sys.stdin){place}))"
        return row(gateway).here(
            f"/opt/filterd/current/bin/filterd check --json | python3 -c {shlex.quote(program)}"
        )

    def holds(self, answer: str, gateway: Gateway) -> bool:
        try:
            given = json.loads(answer)
        except ValueError:
            return False
        # A number is the same with and without a point; `true` is no number.
        return (type(given) is bool) is (self.wanted(gateway) in ("true", "false")) and given == json.loads(
            self.wanted(gateway)
        )
