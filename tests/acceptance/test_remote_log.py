"""The copy of the log: what the house's log server has got, and from whom it is kept."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab.access import ssh_argv
from lab.files import LOG_FILE
from lab.plan import LabState
from roles.hardening import paths
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.letters import mark

WITHIN_SECONDS = 60.0
# Beside the deployed files, which stay as they are: the next deploy has nothing to do.
_DROP_IN = "/run/systemd/system/rsyslog.service.d"


def at_server(lab: LabState, script: str) -> str:
    """Run a script on the log server and return what it wrote."""
    done = subprocess.run(
        [*ssh_argv(lab.hosts["mailhost"]), script], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def arrived(lab: LabState, text: str, *, within: float = WITHIN_SECONDS) -> str:
    """Return the line of the log server with a text in it; none within that time: nothing."""
    deadline = time.monotonic() + within
    line = ""
    while not line and time.monotonic() < deadline:
        line = at_server(lab, f"grep -h {text} {LOG_FILE} || true")
        time.sleep(0.5)
    return line


@contextmanager
def nobody_listens(lab: LabState) -> Iterator[None]:
    """Have no log server for a while."""
    at_server(lab, "systemctl stop lab-logs")
    try:
        yield
    finally:
        at_server(lab, "systemctl start lab-logs")


def test_a_line_of_the_log_is_soon_at_the_server(lab: LabState, gateway: GatewayHost) -> None:
    text = mark()
    gateway.run(f"logger --tag somebody --priority auth.warning {text}")
    # RFC 5424 6: priority (4 * 8 + 4), version, time, host, program.
    assert re.match(rf"<36>1 \S+ mx1 somebody .*{text}$", arrived(lab, text).strip())


def test_what_was_logged_while_no_server_answered_is_made_up_for(lab: LabState, gateway: GatewayHost) -> None:
    text = mark()
    with nobody_listens(lab):
        gateway.run(f"logger {text}")
        gateway.run("systemctl restart rsyslog")
    assert text in arrived(lab, text)


def test_a_server_with_the_certificate_of_another_gets_nothing(lab: LabState, gateway: GatewayHost) -> None:
    refused, later = mark(), mark()
    other = 's/PermittedPeers="[^"]*/PermittedPeers="elsewhere.bastide.example/'
    with gateway.altered(
        f"mkdir -p {_DROP_IN}; sed '{other}' {paths.RSYSLOG} >{_DROP_IN}/trial; "
        f"printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/rsyslogd -n -iNONE -f {_DROP_IN}/trial\\n' >{_DROP_IN}/trial.conf; "
        "systemctl daemon-reload; systemctl restart rsyslog",
        f"rm -r {_DROP_IN}; systemctl daemon-reload; systemctl restart rsyslog",
    ):
        gateway.run(f"logger {refused}")
        assert arrived(lab, refused, within=10) == ""
    # It was the name that stood in the way: with the right one the rest comes too.
    gateway.run(f"logger {later}")
    assert later in arrived(lab, later)
