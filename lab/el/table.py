"""All packages of the EL-shaped repository; those of roles that are to come come here with them."""

from typing import Final

from lab.el import engines, mail, system

RPMS: Final = (*mail.PACKAGES, *engines.PACKAGES, *system.PACKAGES)
