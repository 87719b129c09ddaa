"""The daily report's defences."""

from typing import Final

from roles.defence import Defence
from roles.filterd import sandbox
from roles.kinds import FileMode, HostAnswer, UnitOption
from roles.kinds.questions import counted

SERVICE: Final = "bastide-report.service"
TIMER: Final = "bastide-report.timer"
WAITING_SERVICE: Final = "bastide-waiting.service"
WAITING_TIMER: Final = "bastide-waiting.timer"
UNITS: Final = "/etc/systemd/system"
# filterd's own default ([report] directory); what it writes is below the one directory that it may write in.
STATE: Final = "/var/lib/filterd"
DIRECTORY: Final = f"{STATE}/reports"
PFLOGSUMM: Final = "/usr/sbin/pflogsumm"  # as filterd/report/gather.py runs it

DEFENCES = (
    Defence(
        id="reports.daily",
        title="Somebody gets the figures of each day",
        why="What grows slowly raises no alert: who sends more each day, which rule hits honest mail, which list has died.",
        rows=("A25", "A26"),
        sets=(
            UnitOption(unit=TIMER, option="ActiveState", value="active"),
            UnitOption(unit=TIMER, option="UnitFileState", value="enabled"),
            # Of the last night's; one that has not run yet has not failed.
            UnitOption(unit=SERVICE, option="Result", value="success"),
        ),
        unseen="It is mail for the administrator alone; the acceptance tests have it made, and count what it says.",
        weight=4,
    ),
    Defence(
        id="reports.summary",
        title="What the MTA's log says of a day is summed up",
        why="What was delivered, deferred and sent back, by host and by hour, stands in the MTA's log alone.",
        rows=("A25",),
        sets=(
            HostAnswer(
                subject="whether pflogsumm sums up a log",
                command=f"{PFLOGSUMM} --syslog-name=postfix /dev/null | grep -c '^Grand Totals'",
                matches="1",
                refuted_by="0",
                mta="postfix",
            ),
        ),
        unseen="It is a part of mail for the administrator alone; the acceptance tests look for the day's senders in it.",
        lacks={
            "sendmail": "pflogsumm(1) knows Postfix's log alone; in its place stand the ledger's figures, and filterd's own count of "
            "what Sendmail's log says was refused, held and discarded (reports.daily)."
        },
        weight=2,
    ),
    Defence(
        id="reports.waiting",
        title="Mail that waits for hours is said to somebody",
        why="A next hop that is down bounces nothing for days, and strangers are told nothing of a delay.",
        rows=("A25", "P01"),
        sets=(
            UnitOption(unit=WAITING_TIMER, option="ActiveState", value="active"),
            UnitOption(unit=WAITING_TIMER, option="UnitFileState", value="enabled"),
            UnitOption(unit=WAITING_SERVICE, option="Result", value="success"),
        ),
        unseen="It is an alert and a line of the daily report; the acceptance tests have mail wait.",
    ),
    Defence(
        id="reports.private",
        title="Reports are filterd's alone",
        why="They say who writes to whom.",
        rows=("A25", "P12"),
        sets=(
            HostAnswer(
                subject="files of reports that others can read",
                # Before the first night there is no directory of them yet.
                command=counted(
                    f"test -d {STATE} && {{ test ! -e {DIRECTORY} || "
                    f"find {DIRECTORY} -ignore_readdir_race \\( -perm /077 -o ! -user filterd \\); }}"
                ),
                matches="0",
                refuted_by="1",
            ),
            FileMode(path=f"{UNITS}/{SERVICE}", mode="644"),
        ),
        unseen="File modes are seen from the host alone.",
        weight=6,
    ),
    Defence(
        id="reports.sandbox",
        title="What makes the report has no network but a declared ledger's, and a file system that it can only read",
        why="It reads a log in which strangers write, by a program of many regular expressions.",
        rows=("A25", "P28"),
        sets=(
            UnitOption(unit=SERVICE, option="User", value="filterd"),
            UnitOption(unit=SERVICE, option="NoNewPrivileges", value="yes"),
            UnitOption(unit=SERVICE, option="ProtectSystem", value="strict"),
            UnitOption(unit=SERVICE, option="PrivateNetwork", value=sandbox.private_network),
            UnitOption(unit=SERVICE, option="IPAddressAllow", value=sandbox.allowed),
            UnitOption(unit=SERVICE, option="RestrictAddressFamilies", value=sandbox.families),
            UnitOption(unit=SERVICE, option="CapabilityBoundingSet", value=""),
            HostAnswer(
                subject="exposure of at most 1.5",
                command=f"systemd-analyze security --no-pager --threshold=15 {SERVICE} >/dev/null 2>&1; echo $?",
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen="The sandbox is around a program that nobody outside speaks to.",
        weight=6,
    ),
)
