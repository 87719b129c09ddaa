"""The operations of a switch: each asks what is there, so that a run that died is finished by the next one.

pyinfra settles what an operation finds before the first one runs (roles/operations.py). So what is due only because an
earlier operation of the same run did something asks for that one's reason as well.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from roles.firewall.owners import MTA_USERS
from roles.mta.agents import AGENTS
from roles.operations import converged, files_owned
from roles.platforms import Platform
from roles.rendering import OwnedFile
from roles.settings import Mta

Ports = tuple[int, ...]

WRITTEN_DOWN: Final = "/var/lib/bastide/handover"
PROGRAM: Final = "/usr/local/lib/bastide/carry.py"
HAND_IN: Final = "/usr/local/lib/bastide/handin.py"
MASTER: Final = "/etc/postfix/master.cf"
# What ran when a switch began, while it is under way.
_BEFORE: Final = "/var/lib/bastide/switching"
_ENDS: Final = "EXIT HUP INT TERM"
# How long the old MTA may send before it is stopped: what is left is carried.
_SECONDS: Final = 60
_PACKAGES: Final[Mapping[Mta, str]] = {"postfix": "postfix", "sendmail": "sendmail-bin"}
_OTHER: Final[Mapping[Mta, Mta]] = {"postfix": "sendmail", "sendmail": "postfix"}
# What one MTA leaves of ours when the other takes its place: passwords of directories and keys of block lists stand there.
_DIRECTORIES: Final[Mapping[Mta, str]] = {"postfix": "/etc/postfix", "sendmail": "/etc/mail"}
_BUILT: Final[Mapping[Mta, str]] = {
    "postfix": "recipients.lmdb",
    "sendmail": "sendmail.cf injection.cf submit.cf access.db declared.db mailertable.db recipients.db relayed.db virtusertable.db",
}
_CARRY: Final = f"python3 {PROGRAM}"
_HAND_IN: Final = f"python3 {HAND_IN}"
# What must be decided by a human, and what cannot be read, is said before anything is stopped, or changed. A daemon before Bastide
# may stand on a host that lacks Python: it is asked again when that is there.
_MAY: Final[Mapping[Mta, str]] = {
    "postfix": f"{_CARRY} may postfix",
    "sendmail": f"""if systemctl is-active --quiet sendmail; then
  runuser -u smmsp -- /usr/libexec/sendmail/sendmail -Ac -q || true
fi
{_CARRY} may sendmail""",
}
# Each first lets nobody in any more, then sends what can be sent, then stops: in that order nothing is bounced, and
# nobody is told yes whose message would not be carried. A reload gives Postfix another queue manager: what is being delivered
# just then is none of its, and stays in the active queue until the next one.
_STOP: Final[Mapping[Mta, str]] = {
    "postfix": f"""if systemctl is-active --quiet postfix; then
  ! postconf -M smtp/inet | grep -q . || cp -p {MASTER} {_BEFORE}/master.cf
  postconf -MX smtp/inet
  postfix reload
  postqueue -f
  for second in $(seq {_SECONDS}); do
    [ -n "$(find /var/spool/postfix/active /var/spool/postfix/incoming /var/spool/postfix/maildrop -type f)" ] || break
    [ $((second % 5)) -ne 0 ] || postfix reload
    sleep 1
  done
fi
systemctl stop postfix
systemctl --quiet disable postfix""",
    "sendmail": f"""systemctl stop sm-client sendmail
if systemctl is-active --quiet sendmail-inject; then
  runuser -u smmta -- timeout {_SECONDS} /usr/libexec/sendmail/sendmail -q -OMinQueueAge=0 || true
fi
systemctl stop sendmail-inject
for second in $(seq {_SECONDS}); do pgrep -u smmta -x sendmail >/dev/null || break; sleep 1; done
pkill -u smmta -x sendmail && sleep 2 || true
systemctl --quiet disable {" ".join(AGENTS["sendmail"].units)}""",
}
# What its configuration lacks for the stop.
_PUT_BACK: Final[Mapping[Mta, str]] = {
    "postfix": f"[ ! -e {_BEFORE}/master.cf ] || cp -p {_BEFORE}/master.cf {MASTER}",
    "sendmail": "true",
}


def _started_again(mta: Mta, ports: Ports) -> str:
    """Return the shell function `again`: an MTA whose queue was not written down takes and sends mail as before.

    What ran is noted on disk until all is done, so that a run that was killed leaves to the next one what there is to start.
    The packet filter is the new MTA's by now: `way -I` lets the old one out, for its last minute or until the next deploy.
    """
    agent = AGENTS[mta]
    ways = " ".join(str(port) for port in ports)
    return f"""way() {{
  for port in {ways}; do for filter in iptables ip6tables; do
    $filter -w $1 OUTPUT -p tcp --dport $port -m owner --uid-owner {MTA_USERS[mta]} -j ACCEPT || true
  done; done
}}
again() {{
  set +e
  trap - {_ENDS}
  {_PUT_BACK[mta]}
  for unit in $(cat {_BEFORE}/units); do
    systemctl --quiet enable $unit
    systemctl restart $unit || echo "$unit does not start: see journalctl -u $unit" >&2
  done
  if grep -q . {_BEFORE}/units; then
    [ -z "$(ls {WRITTEN_DOWN} 2>/dev/null)" ] || {_HAND_IN} {agent.injection} {WRITTEN_DOWN}
    echo "{agent.title} has been started again and takes mail as before; mend what is said above, and deploy again" >&2
  fi
  rm -rf {_BEFORE}
  exit 1
}}"""


def _asked(mta: Mta, ports: Ports, platform: Platform) -> str:
    """Return the script that asks whether a queue can be carried and brings the packages of the MTA that comes.

    An archive that does not answer is found while the old MTA still takes mail. If a run that died had stopped that one, it is
    started where the answer is no.
    """
    return f"""{_started_again(mta, ports)}
[ ! -e {_BEFORE}/units ] || trap 'way -I; again' {_ENDS}
{_MAY[mta]}
{platform.manager.fetched(platform.mta[_OTHER[mta]])}
trap - {_ENDS}"""


def _written_down(mta: Mta, ports: Ports, platform: Platform) -> str:
    """Return the script that stops an MTA and writes down its queue; where that fails, the MTA runs again."""
    return f"""{_asked(mta, ports, platform)}
install -d -m 700 {_BEFORE}
[ -e {_BEFORE}/units ] || {{
  for unit in {" ".join(AGENTS[mta].units)}; do ! systemctl is-active --quiet $unit || echo $unit; done >{_BEFORE}/units.new
  mv {_BEFORE}/units.new {_BEFORE}/units
}}
trap again {_ENDS}
way -I
{_STOP[mta]}
{_CARRY} out {mta} {WRITTEN_DOWN}
trap - {_ENDS}
way -D
rm -rf {_BEFORE}"""


def _installed(mta: Mta) -> str:
    """Return the question whether an MTA is installed: its name, or "none"."""
    return (
        f"dpkg-query -W -f='${{db:Status-Status}}' {_PACKAGES[mta]} 2>/dev/null | grep -qx installed "
        f"&& echo {mta} || echo none"
    )


def switch_allowed(mta: Mta, ports: Ports, platform: Platform) -> None:
    """Have the deploy end before its first change where the other MTA's queue needs a human, or this one's packages are not to be had.

    Later layers name the new MTA's users: stopped between them, a host would have the old one's daemons, and no way out for them.
    """
    files_owned(
        name="Write what carries a queue over",
        files=[
            OwnedFile(path=path, content=Path(__file__).with_name(Path(path).name).read_text(), mode="755")
            for path in (PROGRAM, HAND_IN)
        ],
        check=f"! command -v python3 >/dev/null || python3 -m py_compile $stage{PROGRAM} $stage{HAND_IN}; "
        f"rm -rf $stage$(dirname {PROGRAM})/__pycache__",
    )
    converged(
        name="Ask whether the queue of the other MTA can be carried over",
        question=_installed(_OTHER[mta]),
        wanted="none",
        remedy=f"command -v python3 >/dev/null || exit 0\n{_asked(_OTHER[mta], ports, platform)}",
    )


def old_queue_written_down(mta: Mta, ports: Ports, platform: Platform) -> None:
    """Have the other MTA's queue written down, and that one stopped, where it is installed. ``ports`` are those of next hops."""
    converged(
        name="Write down the queue of the other MTA and stop it",
        question=_installed(_OTHER[mta]),
        wanted="none",
        remedy=_written_down(_OTHER[mta], ports, platform),
    )


def old_configuration_gone(mta: Mta) -> None:
    """Have nothing of ours that only the other MTA reads; a server's own files from before stay."""
    directory = _DIRECTORIES[_OTHER[mta]]
    ours = f"grep -rls 'Written by Bastide' {directory}"
    converged(
        name="Have no configuration for the other MTA",
        question=ours,
        wanted="",
        remedy=f'{ours} | while read -r f; do rm -f "$f"; done; cd {directory} && rm -f {_BUILT[_OTHER[mta]]}',
    )


def queue_handed_in(mta: Mta) -> None:
    """Have what was written down handed to this MTA."""
    converged(
        name="Hand in what waited in the other MTA's queue",
        question=f"{_installed(_OTHER[mta])}; ls {WRITTEN_DOWN} 2>/dev/null | wc -l",
        wanted="none\n0",
        remedy=f"{_HAND_IN} {AGENTS[mta].injection} {WRITTEN_DOWN}",
    )
