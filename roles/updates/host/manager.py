"""The host's package manager: a module of its own for each, with the same functions; what deploys wrote down says which.

It is loaded with all that it needs before anything changes, as an update may break Python itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .machine import DECLARED, read

if TYPE_CHECKING:
    from . import apt as here
else:
    here = import_module(f".{read(DECLARED).get('manager', 'apt')}", __package__)

# How it is called where it speaks, what looks after updates with it, and what an administrator types where neither can go on.
NAME = here.NAME
UPDATER = here.UPDATER
MEND = here.MEND
# What it reads of barred versions, and where it fetches to and unpacks.
PINS = here.PINS
PLACES = here.PLACES

installed = here.installed
newer_than = here.newer_than
complaint = here.complaint
unclean = here.unclean
repaired = here.repaired
left_by_a_crash = here.left_by_a_crash
refreshed = here.refreshed
candidates = here.candidates
let_in = here.let_in
upgraded = here.upgraded
brought = here.brought
kept = here.kept
tidied = here.tidied
taken_back = here.taken_back
automatic = here.automatic
marked = here.marked
barred = here.barred
pinned = here.pinned
sources = here.sources
wants_reboot = here.wants_reboot
