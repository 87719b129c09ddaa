"""Mounts: what may be run from where everybody can write."""

from roles.defence import Defence
from roles.kinds import HostAnswer, MountOptions
from roles.kinds.questions import counted, everywhere

_SHARED = ("nosuid", "nodev", "noexec")

DEFENCES = (
    Defence(
        id="hardening.shared-directories",
        title="Nothing is run out of the directories that everybody may write",
        why="What an attacker can make a daemon write lands there first; it must not be started, and no setuid copy of a shell "
        "must work.",
        rows=("H08",),
        sets=tuple(MountOptions(path=f"/{path}", options=_SHARED) for path in ("tmp", "var/tmp", "dev/shm")),
        unseen="Mounts are seen from the host alone; the acceptance tests try to run a program there.",
        level="moderate",
        cost="Installers that unpack to /tmp and run there need another TMPDIR.",
        weight=6,
    ),
    Defence(
        id="hardening.sticky",
        title="In a directory that everybody may write, nobody may take away what is another's",
        why="Without the sticky bit any user replaces another's file between two looks at it.",
        rows=("H08",),
        sets=(
            HostAnswer(
                subject="directories that all may write, without the sticky bit",
                command=counted(everywhere("-type d -perm -0002 ! -perm -1000 -print")),
                matches="0",
                refuted_by="1",
            ),
            HostAnswer(
                subject="files that all may write",
                command=counted(everywhere("-type f -perm -0002 -print")),
                matches="0",
                refuted_by="1",
            ),
            HostAnswer(
                subject="files without an owner or a group",
                # What systemd keeps for users that it makes for a run (DynamicUser=, systemd.exec(5)) is theirs in the next one.
                # What stands below /run (faillock(8) has a file for each user there) is gone with the next start.
                command=counted(
                    everywhere(
                        "-path '/run/*' -prune -o -path '/var/*/private' -user root -perm 700 -prune -o "
                        "'(' -nouser -o -nogroup ')' -print"
                    )
                ),
                matches="0",
                refuted_by="1",
            ),
        ),
        unseen="File modes are seen from the host alone.",
    ),
)
