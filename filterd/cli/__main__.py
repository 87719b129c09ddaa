"""``python -m filterd.cli``."""

import sys

from . import main

sys.exit(main())
