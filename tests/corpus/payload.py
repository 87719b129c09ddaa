"""The two payloads. Both are 68 bytes of the same characters, so that a mail and its twin differ in nothing else."""

from typing import Final

# eicar.org, in two pieces: scanners eat checkouts that hold it whole.
EICAR: Final = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + rb"ANTIVIRUS-TEST-FILE!$H+H*"

# No engine has a signature for this. Punctuation that codecs treat in their own way stands where the test file has it.
HARMLESS: Final = rb"X5O?P%@AP[4\PZX54(P^)7CC)7}$HARMLESS-STRING-" + rb"OF-THE-SAME-LENGTH!$H+H*"
