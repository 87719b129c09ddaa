"""The parsers as the nursery has them: imported without a program being started, and under MemoryDenyWriteExecute."""

import subprocess
import sys
from pathlib import Path

import pytest

from filterd.parse import cradle

ROOT = Path(__file__).parents[3]
_AUDITED = """
import sys
STARTED = ("subprocess.Popen", "os.posix_spawn", "os.system", "os.exec", "os.fork", "os.forkpty")
def hook(event, arguments):
    if event in STARTED:
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(hook)
import filterd.parse.anatomise
import filterd.rewrite
"""
# prctl(2): PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN; Linux 6.3.
_WITHOUT_EXECUTABLE_MEMORY = """
import ctypes, mmap, sys
if ctypes.CDLL(None).prctl(65, *map(ctypes.c_ulong, (1, 0, 0, 0))):
    raise SystemExit(77)
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    from tests.corpus.__main__ import main
    raise SystemExit(main(["--family", sys.argv[1]]))
raise SystemExit("memory may be written and executed")
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-W", "error", "-c", program, *arguments)
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=cradle._ENVIRONMENT
    )


def test_importing_the_parsers_starts_no_program_and_warns_of_nothing() -> None:
    done = run(_AUDITED)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("family", ["archive", "document"])
def test_the_parsers_need_no_memory_that_is_written_and_executed(family: str) -> None:
    done = run(_WITHOUT_EXECUTABLE_MEMORY, family)
    if done.returncode == 77:
        pytest.skip("this kernel cannot refuse executable memory (PR_SET_MDWE, Linux 6.3)")
    assert done.returncode == 0, done.stdout + done.stderr
