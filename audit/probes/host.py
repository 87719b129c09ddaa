"""What the live host says of itself: many questions in one ssh round trip, by testinfra's ssh backend.

Each question is a shell command. A round trip costs more than most answers, so a script asks them one after the
other and brings back exit code, output and error output of each, apart.
"""

import base64
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import testinfra  # type: ignore[import-untyped]  # it ships no types; this module is the only one that imports it
from msgspec import Struct

from audit.errors import AuditError
from audit.target import Target

CONNECT_SECONDS = 10
# One question; `clamconf` and `filterd check` take a second, and half a minute on a busy machine that has no hardware to help.
QUESTION_SECONDS = 60
# Longest answer kept, in bytes: a large ruleset is some 100 kB.
ANSWER_LIMIT = 1_000_000
# A script travels as one argument; Linux takes 131,072 bytes (MAX_ARG_STRLEN), and sudo's wrapping quotes it again.
SCRIPT_LIMIT = 60_000

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
        self._host = _connection(target)

    def ask(self, questions: Sequence[str]) -> dict[str, Answer]:
        """Return the answer to each question, each asked once.

        Raises AuditError when the host cannot be reached, is not the one that its key says, or gives no root.
        """
        answers: dict[str, Answer] = {}
        for script, asked in _scripts(list(dict.fromkeys(questions))):
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
        try:
            done = self._host.run(script)
        except RuntimeError as error:
            # testinfra raises with the whole result for ssh's own failures (exit code 255).
            raise AuditError(self._unreachable(error)) from error
        if done.rc != 0:
            said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.rc}"]
            raise AuditError(f"{self._target.name}: cannot ask the host as root: {said[0]}")
        return str(done.stdout)

    def _unreachable(self, error: RuntimeError) -> str:
        result = error.args[0] if error.args else error
        text = str(getattr(result, "stderr", result)).strip()
        name, where = self._target.name, self._target.ssh_address
        if "Host key verification failed" in text or "REMOTE HOST IDENTIFICATION HAS CHANGED" in text:
            known = self._target.data.get("ssh_known_hosts_file") or "your known_hosts"
            return f"{name}: the host key of {where} is not the one in {known}; compare it at the host's own console"
        return f"{name}: cannot reach {where} by ssh: {(text.splitlines() or ['no reason given'])[-1]}"


def _connection(target: Target) -> Any:  # noqa: ANN401 - testinfra has no types
    if target.name == "@local":
        return testinfra.get_host("local://", sudo=bool(target.data.get("_sudo")))
    data = target.data
    user = f"{data['ssh_user']}@" if data.get("ssh_user") else ""
    return testinfra.get_host(
        f"ssh://{user}{target.ssh_address}:{data.get('ssh_port') or 22}",
        ssh_identity_file=data.get("ssh_key"),
        # No shared connection: all questions travel at once, and a kept one would skip the check of the host key.
        controlpersist=0,
        sudo=bool(data.get("_sudo")),
        ssh_extra_args=shlex.join(ssh_options(target)),
    )


def ssh_options(target: Target) -> list[str]:
    """Return the options of ssh(1) by which every look at a host goes: no questions, and no host key but the known one."""
    known = target.data.get("ssh_known_hosts_file")
    return [
        *("-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"),
        *(("-o", f"UserKnownHostsFile={known}") if known else ()),
        *("-o", f"ConnectTimeout={CONNECT_SECONDS}"),
    ]


def _scripts(questions: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Give scripts below the size limit, each with the questions whose numbers it answers by."""
    lines: list[str] = []
    asked: list[str] = []
    size = 0
    for question in questions:
        line = f"q {len(asked)} {shlex.quote(question)}"
        if asked and size + len(line) > SCRIPT_LIMIT:
            yield _SCRIPT_HEAD + "\n".join(lines), asked
            lines, asked, size = [], [], 0
            line = f"q 0 {shlex.quote(question)}"
        lines.append(line)
        asked.append(question)
        size += len(line)
    if asked:
        yield _SCRIPT_HEAD + "\n".join(lines), asked


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode("utf-8", "replace")
