"""What EL 9 has in a release that Debian has left behind: the archive still gives it out, so that the stand-in has EL's own."""

from pathlib import Path
from typing import Final

from lab.image import Image
from lab.mirror import download_as_they_are

SUITE: Final = "bullseye"
# Postfix 3.5 and SpamAssassin 3.4, and the libraries that they were built with; the rest of what they need is the image's.
DEBS: Final = (
    *("libicu67", "libldap-2.4-2", "libpcre3", "libssl1.1"),
    *("postfix", "postfix-ldap", "postfix-lmdb", "postfix-pcre", "spamassassin", "spamc"),
)


def exchange(work: Path, image: Image) -> None:
    """Put these in the place of the newer ones below ``work/mirror``. Raises LabError."""
    older = work / "older"
    older.mkdir()
    download_as_they_are(older, image, SUITE, DEBS)
    for deb in sorted((older / "mirror").glob("*.deb")):
        name = deb.name.partition("_")[0]
        for newer in (work / "mirror").glob(f"{name}_*.deb"):
            newer.unlink()
        deb.rename(work / "mirror" / deb.name)
