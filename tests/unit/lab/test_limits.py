"""Hosts that the kernel has nothing left for are refused with the remedy, and what was tried is given back."""

import subprocess
import sys
from pathlib import Path

from lab.limits import check_watches

# By the process's own limit: the machine's would be taken from labs that boot meanwhile.
SCARCE = """import resource
from lab.limits import check_watches
from lab.errors import LabError
resource.setrlimit(resource.RLIMIT_NOFILE, (25, 25))
try:
    check_watches(3)
except LabError as error:
    print(error)
check_watches(1)
"""


def test_more_hosts_than_the_kernel_has_watches_for_are_refused_and_nothing_stays_taken() -> None:
    done = subprocess.run([sys.executable, "-c", SCARCE], capture_output=True, text=True, check=True)
    assert "3 hosts need 30 instances of inotify(7)" in done.stdout
    assert "or run `sysctl -w fs.inotify.max_user_instances=" in done.stdout


def test_what_was_tried_is_given_back() -> None:
    check_watches(2)
    links = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    assert "anon_inode:inotify" not in links
