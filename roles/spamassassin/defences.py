"""SpamAssassin's defences."""

from roles.claims import Verdict
from roles.defence import Defence
from roles.kinds import FileMode, HostAnswer, SpamassassinOption, UnitOption
from roles.platforms import row
from roles.settings import SPAMD_SOCKET

BAYES_DIRECTORY = "/var/lib/spamassassin/bayes"

DEFENCES = (
    Defence(
        id="spamassassin.spam-refused",
        title="Mail that scores as spam beyond doubt is refused in the SMTP session",
        why="The sender learns of a mistake at once, and nobody has to look through it.",
        rows=("S01", "H12", "R17"),
        sets=(
            SpamassassinOption("required_score", "5"),
            UnitOption(unit="spamd.service", option="UnitFileState", value="enabled"),
        ),
        claims=(
            Verdict(
                sample="gtube",
                matches=r"550 5\.7\.1 [^\n]*\[spam\.[a-z.-]+\][^\n]*",
                refuted_by="250 2.0.0 Ok: queued as 4abcDE1234z",
            ),
        ),
        weight=6,
    ),
    Defence(
        id="spamassassin.local-only",
        title="spamd listens on a socket of its group and on no port",
        why="spamd's protocol lets who reaches it use up the host, and teach it what is spam.",
        rows=("H08", "S07"),
        sets=(
            FileMode(path=SPAMD_SOCKET, mode="660", owner="debian-spamd", group="debian-spamd"),
            HostAnswer(
                subject="TCP ports that spamd listens on",
                command="""ports=$(ss -H -l -t -n -p) && { printf '%s' "$ports" | grep -c '"spamd' || true; }""",
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen="The packet filter closes the port too; firewall.default-drop sees that from outside.",
        weight=7,
    ),
    Defence(
        id="spamassassin.unprivileged",
        title="spamd runs as a user of its own and reads no user's rules",
        why="A rule is a program; rules that users can write run with the daemon's rights.",
        rows=("P28",),
        sets=(
            SpamassassinOption("allow_user_rules", "0"),
            HostAnswer(
                subject="users of spamd's processes",
                command="ps -o user:32= -C spamd | sort -u",
                matches=lambda g: row(g).user("debian-spamd"),
                refuted_by="root",
            ),
        ),
        unseen="Which user a process runs as is seen from the host alone.",
        weight=8,
    ),
    Defence(
        id="spamassassin.taught-by-people",
        title="SpamAssassin learns what is spam from administrators alone",
        why="What teaches itself by its own scores learns from whoever sends most; only `filterd quarantine learn` teaches it.",
        rows=("S02",),
        sets=(
            SpamassassinOption("bayes_auto_learn", "0"),
            FileMode(path=BAYES_DIRECTORY, mode="700", owner="debian-spamd", group="debian-spamd"),
        ),
        unseen="What was learnt shows only after hundreds of messages.",
    ),
    Defence(
        id="spamassassin.lists-asked-once",
        title="Block lists are not asked a second time",
        why="Block lists belong to the MTA, before a message is taken; a second asker doubles load and delay, and earns a ban.",
        rows=("R09",),
        sets=(SpamassassinOption("skip_rbl_checks", "1"), SpamassassinOption("skip_uribl_checks", "1")),
        unseen="The list's operator sees queries, not the sender.",
        weight=1,
    ),
    Defence(
        id="spamassassin.fresh",
        title="Rules are looked for every day",
        why="Spam changes with the week; rules that came with the package know last year's.",
        rows=("S01",),
        sets=(
            UnitOption(unit="spamassassin-maintenance.timer", option="ActiveState", value="active"),
            UnitOption(unit="spamassassin-maintenance.timer", option="UnitFileState", value="enabled"),
        ),
        unseen="Which rules are in use a sender cannot see.",
    ),
)
