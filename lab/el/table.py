"""All packages of the EL-shaped repository; those of roles that are to come come here with them."""

from typing import Final

from lab.el import engines, guard, mail, system

RPMS: Final = (*mail.PACKAGES, *engines.PACKAGES, *system.PACKAGES, *guard.PACKAGES)
