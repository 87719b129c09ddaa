"""ClamAV's defences."""

from roles.claims import Verdict
from roles.defence import Defence
from roles.kinds import ClamdOption, FileMode, FreshclamOption, HostAnswer, UnitOption
from roles.platforms import row
from roles.settings import CLAMD_SOCKET, Gateway

_REFUSED_AS_VIRUS = r"550 5\.7\.1 [^\n]*\[virus\.[a-z.-]+\][^\n]*"
_QUEUED = "250 2.0.0 Ok: queued as 4abcDE1234z"

_ENOUGH = (
    'used=$(ps -o rss= -C clamd | sort -n | tail -n 1) && test -n "$used" && '
    "total=$(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo) && "
    "copies=$(clamconf | sed '/^Config file: freshclam.conf/,$d' | grep -c '^ConcurrentDatabaseReload = \"yes\"' || true) && "
    "need=$((used * (1 + copies) + 524288)) && "
    "if [ $need -le $total ]; then echo enough; else echo $need kB of $total kB; fi"
)


def _scan_bytes(gateway: Gateway) -> str:
    """Return how much clamd unpacks of one message: ten times the largest one, so that archives fit in."""
    return str(min(10 * gateway.message_size_limit, 2_000_000_000))


DEFENCES = (
    Defence(
        id="clamav.virus-refused",
        title="A virus is refused in the SMTP session, plain, encoded or packed",
        why="Refused before it was accepted it is neither delivered nor bounced at a forged sender.",
        rows=("R01", "C01", "H12", "P03"),
        sets=(
            ClamdOption("ScanMail", "yes"),
            ClamdOption("ScanArchive", "yes"),
            UnitOption(unit="clamav-daemon.service", option="UnitFileState", value="enabled"),
        ),
        claims=tuple(
            Verdict(sample=sample, matches=_REFUSED_AS_VIRUS, refuted_by=_QUEUED)
            for sample in ("eicar", "eicar-base64", "eicar-zip")
        ),
        weight=10,
    ),
    Defence(
        id="clamav.nothing-unseen",
        title="Whatever the MTA accepts clamd scans, and says so where it could not",
        why="By default clamd calls a file clean that was too large for it to look at.",
        rows=("A21", "P07"),
        sets=(
            ClamdOption("StreamMaxLength", lambda g: str(g.message_size_limit + 1_048_576)),
            ClamdOption("MaxFileSize", lambda g: str(g.message_size_limit + 1_048_576)),
            ClamdOption("MaxScanSize", _scan_bytes),
            ClamdOption("AlertExceedsMax", "yes"),
        ),
        unseen="Seeing it needs a message at the limit that only the last bytes make infected; the acceptance tests send one.",
        weight=10,
    ),
    Defence(
        id="clamav.heuristics",
        title="clamd reports what it cannot read, and what no honest program writes",
        why="By default clamd calls an encrypted archive, a broken program and a document with macros clean.",
        rows=("R02", "P09"),
        sets=(
            ClamdOption("AlertEncryptedArchive", "yes"),
            ClamdOption("AlertEncryptedDoc", "yes"),
            ClamdOption("AlertOLE2Macros", "yes"),
            ClamdOption("AlertBrokenExecutables", "yes"),
            ClamdOption("AlertPartitionIntersection", "yes"),
        ),
        unseen="What becomes of an alert is filterd's policy, by class; filterd.refused-classes sees that from outside.",
        weight=6,
    ),
    Defence(
        id="clamav.local-only",
        title="clamd listens on a socket of its group and on no port",
        why="clamd's protocol knows no login: who reaches it can stop it or have it read files.",
        rows=("H08",),
        sets=(
            ClamdOption("LocalSocketGroup", lambda g: row(g).group("clamav")),
            ClamdOption("LocalSocketMode", "660"),
            FileMode(path=CLAMD_SOCKET, mode="660", owner="clamd", group="clamav"),
            HostAnswer(
                subject="TCP ports that clamd listens on",
                command="""ports=$(ss -H -l -t -n -p) && { printf '%s' "$ports" | grep -c '"clamd"' || true; }""",
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen="The packet filter closes the port too; firewall.default-drop sees that from outside.",
        weight=7,
    ),
    Defence(
        id="clamav.unprivileged",
        title="clamd and freshclam run as a user of their own",
        why="A parser of every format that attackers like must not be root when one of them is wrong.",
        rows=("P28",),
        sets=(
            ClamdOption("User", lambda g: row(g).user("clamd")),
            FreshclamOption("DatabaseOwner", lambda g: row(g).user("freshclam")),
            HostAnswer(
                subject="user of clamd's process",
                command="ps -o user= -C clamd | sort -u",
                matches=lambda g: row(g).user("clamd"),
                refuted_by="root",
            ),
        ),
        unseen="Which user a process runs as is seen from the host alone.",
        weight=8,
    ),
    Defence(
        id="clamav.memory",
        title="There is memory for new signatures",
        why="A clamd that the kernel ends for want of memory comes back by the next reload, which ends it again; mail waits meanwhile.",
        rows=("P05",),
        sets=(
            HostAnswer(
                subject="memory for what clamd uses, once more where it reloads beside itself, and 512 MB",
                command=_ENOUGH,
                matches="enough",
                refuted_by="3900000 kB of 2000000 kB",
            ),
        ),
        unseen="Memory is seen from the host alone; a clamd that is gone means 451, as the acceptance tests see.",
    ),
    Defence(
        id="clamav.fresh",
        title="Signatures are fetched many times a day, and are not old",
        why="A signature helps from the day it is loaded; a scanner that stopped updating looks healthy for ever.",
        rows=("R10", "C02", "P06"),
        sets=(
            FreshclamOption("Checks", lambda g: str(g.clamav_checks_per_day)),
            UnitOption(unit="clamav-freshclam.service", option="ActiveState", value="active"),
            UnitOption(unit="clamav-freshclam.service", option="UnitFileState", value="enabled"),
            HostAnswer(
                subject="checks for new signatures that succeeded within a day",
                command="journalctl --quiet --no-pager --output=cat --since=-25h --identifier=freshclam "
                "| grep -cE 'up-to-date|updated' || true",
                matches=r"[1-9]\d*",
                refuted_by="0",
            ),
        ),
        unseen="Age is seen from the host; that signatures are in use clamav.virus-refused shows.",
        weight=9,
    ),
)
