"""What the live host says of itself: many questions in one ssh round trip.

Each question is a shell command. A round trip costs more than most answers, so a script asks them one after the
other and brings back exit code, output and error output of each, apart.
"""

import base64
import shlex
from collections.abc import Sequence

from msgspec import Struct

from audit.errors import AuditError
from audit.probes.login import Login
from audit.target import Target

# One question; `clamconf` and `filterd check` take a second, and half a minute on a busy machine that has no hardware to help.
QUESTION_SECONDS = 60
# Longest answer kept, in bytes: a large ruleset is some 100 kB.
ANSWER_LIMIT = 1_000_000

# ssh's own exit code: the host was not reached.
_OF_SSH = 255
_REMEDY = "; the inventory's `_sudo_password` is empty (let it come from your environment or a vault, not from the file)"

# The answers wait in memory where they can: a look at a host leaves nothing on its disk, not even for a moment.
_SCRIPT_HEAD = f"""
d=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) || exit 1
trap 'rm -rf "$d"' EXIT
q() {{
  timeout {QUESTION_SECONDS} sh -c "$2" >"$d/o" 2>"$d/e" </dev/null
  printf 'answer %s %s %s %s\\n' "$1" "$?" "$(head -c {ANSWER_LIMIT} "$d/o" | base64 | tr -d '\\n')" \
"$(head -c 4096 "$d/e" | base64 | tr -d '\\n')."
}}
"""


class Answer(Struct, frozen=True, kw_only=True):
    """What one command gave on the host."""

    code: int
    output: str
    errors: str


class Shell:
    """A way to ask one host, as root."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._login = Login(target)

    def ask(self, questions: Sequence[str]) -> dict[str, Answer]:
        """Return the answer to each question, each asked once.

        Raises AuditError when the host cannot be reached, is not the one that its key says, or gives no root.
        """
        asked = list(dict.fromkeys(questions))
        script = _SCRIPT_HEAD + "\n".join(f"q {at} {shlex.quote(each)}" for at, each in enumerate(asked))
        answers: dict[str, Answer] = {}
        lines = [line.split(" ") for line in self._run(script).splitlines() if line.startswith("answer ")]
        for _, index, code, output, errors in lines:
            answers[asked[int(index)]] = Answer(
                code=int(code), output=_decoded(output), errors=_decoded(errors.removesuffix("."))
            )
        missing = [question for question in questions if question not in answers]
        if missing:
            raise AuditError(f"{self._target.name}: the host gave no answer to {missing[0]!r}")
        return answers

    def _run(self, script: str) -> str:
        # As the shell's input: an argument has a bound (MAX_ARG_STRLEN), and each way to root quotes it once more.
        done = self._login.run("exec sh", stdin=f"{script}\n".encode())
        said = done.stderr.decode(errors="replace").strip()
        if done.returncode == _OF_SSH:
            raise AuditError(self._unreachable(said))
        if done.returncode != 0:
            last = (said.splitlines() or [f"exit code {done.returncode}"])[-1]
            remedy = _REMEDY if "password is required" in last else ""
            raise AuditError(f"{self._target.name}: cannot ask the host as root: {last}{remedy}")
        return done.stdout.decode(errors="replace")

    def _unreachable(self, text: str) -> str:
        name, where = self._target.name, self._target.ssh_address
        if "Host key verification failed" in text or "REMOTE HOST IDENTIFICATION HAS CHANGED" in text:
            known = self._target.data.get("ssh_known_hosts_file") or "your known_hosts"
            return f"{name}: the host key of {where} is not the one in {known}; compare it at the host's own console"
        return f"{name}: cannot reach {where} by ssh: {(text.splitlines() or ['no reason given'])[-1]}"


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode("utf-8", "replace")
