"""A directory of the house for the length of a block: OpenLDAP's slapd in the lab's wan network."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab.plan import LabState
from tests.acceptance.lacking import lacks

ADDRESS: Final = "198.51.100.10"
PORT: Final = 3389
BASE: Final = "dc=bastide,dc=example"
READER, PASSWORD = f"cn=mx,{BASE}", "of-the-lab"
_START_SECONDS: Final = 20.0


@contextmanager
def directory(lab: LabState, addresses: Sequence[str]) -> Iterator[None]:
    """Serve entries with these mail addresses to who logs in as READER; nobody else may read anything."""
    if shutil.which("slapd", path="/usr/sbin:/usr/bin") is None:
        lacks("slapd is not installed (make setup)")
    with tempfile.TemporaryDirectory(prefix="bastide-slapd-") as folder:
        conf = _written(Path(folder), addresses)
        command = ["ip", "netns", "exec", lab.netns["wan"], "/usr/sbin/slapd", "-d", "0", "-f", str(conf)]
        served = subprocess.Popen([*command, "-h", f"ldap://{ADDRESS}:{PORT}"], stderr=subprocess.DEVNULL)
        try:
            _await(lab)
            yield
        finally:
            served.terminate()
            served.wait(30)


def _written(folder: Path, addresses: Sequence[str]) -> Path:
    conf, ldif, data = folder / "slapd.conf", folder / "data.ldif", folder / "data"
    data.mkdir()
    schemas = "".join(
        f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson")
    )
    conf.write_text(
        f"{schemas}modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {folder}/pid\n"
        f'database mdb\nsuffix "{BASE}"\ndirectory {data}\n'
        f'access to attrs=userPassword by anonymous auth\naccess to * by dn.exact="{READER}" read by * none\n'
    )
    entries = [
        f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: bastide\no: Bastide\n",
        f"dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: mx\nuserPassword: {PASSWORD}\n",
        *(
            f"dn: cn=p{number},{BASE}\nobjectClass: inetOrgPerson\ncn: p{number}\nsn: p{number}\nmail: {address}\n"
            for number, address in enumerate(addresses)
        ),
    ]
    ldif.write_text("\n".join(entries))
    subprocess.run(
        ["/usr/sbin/slapadd", "-f", str(conf), "-l", str(ldif)], check=True, capture_output=True, timeout=60
    )
    return conf


def _await(lab: LabState) -> None:
    deadline = time.monotonic() + _START_SECONDS
    look = ["ip", "netns", "exec", lab.netns["wan"], "bash", "-c", f"</dev/tcp/{ADDRESS}/{PORT}"]
    while subprocess.run(look, capture_output=True, check=False, timeout=10).returncode:
        assert time.monotonic() < deadline, "slapd does not answer"
        time.sleep(0.2)
