"""Labs whose gateways run another platform: what they are to look at, what installs there, and what the roles say of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import lifecycle
from lab.errors import LabError
from lab.plan import Host, LabState
from lab.platforms import DEBIAN13, EL
from lab.tools import TO_BUILD, TO_BUILD_RPMS, TO_RUN, require
from tests.acceptance.labs import deploy, swept
from tests.acceptance.lacking import lacks
from tests.acceptance.test_deploy import varied
from tests.acceptance.test_lab import on

NAME = f"accept{os.getpid()}p"


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest) -> Iterator[LabState]:
    try:
        require({**TO_RUN, **TO_BUILD, **TO_BUILD_RPMS})
    except LabError as error:
        lacks(str(error))
    swept("accept")
    try:
        yield lifecycle.up(NAME, gateways=1, platform=request.param)
    finally:
        lifecycle.down(NAME)


def gateway(lab: LabState) -> Host:
    return lab.hosts["gw1"]


@pytest.mark.parametrize("made", [DEBIAN13], indirect=True)
def test_a_debian_13_gateway_installs_from_its_own_mirror(made: LabState) -> None:
    host = gateway(made)
    assert "VERSION_CODENAME=trixie" in on(host, "cat /etc/os-release").splitlines()
    assert "VERSION_CODENAME=bookworm" in on(made.hosts["world"], "cat /etc/os-release").splitlines()
    assert on(host, "systemctl is-system-running").strip() == "running"
    on(host, "apt-get -q update")
    planned = on(host, "apt-get -q install --simulate --no-install-recommends postfix clamav-daemon spamd")
    assert all(f"Inst {name} " in planned for name in ("postfix", "clamav-daemon", "spamd"))


# The rest is about the stand-in of Debian's programs (lab/el): nothing here was seen on EL.
@pytest.mark.parametrize("made", [EL], indirect=True)
class TestEl:
    def test_it_says_what_it_is_and_has_no_tool_of_debians(self, made: LabState) -> None:
        host = gateway(made)
        assert "VARIANT_ID=el-lab" in on(host, "cat /etc/os-release").splitlines()
        assert on(host, "systemctl is-system-running").strip() == "running"
        assert on(host, "command -v apt-get dpkg apt-cache update-rc.d ucf; true") == ""

    def test_dnf_installs_and_nothing_starts_by_itself(self, made: LabState) -> None:
        host = gateway(made)
        on(host, "dnf -q -y install postfix postfix-lmdb unbound clamd clamav spamassassin")
        assert on(host, "rpm -q --qf '%{EPOCH}' postfix") == "2"
        assert on(host, "systemctl is-enabled postfix; systemctl is-active postfix", check=False).split() == [
            "disabled",
            "inactive",
        ]
        assert "no-such-package" in on(host, "dnf -q -y install no-such-package 2>&1; true")
        # What was installed is as its package says.
        assert on(host, "rpm -V postfix unbound") == ""

    def test_its_daemons_run_with_what_stands_at_els_places(self, made: LabState) -> None:
        host = gateway(made)
        on(host, "sed -i 's/^#LocalSocket/LocalSocket/' /etc/clamd.d/scan.conf")
        on(host, "echo 'Lab.Test:0:*:656c2d6c61622d74657374' >/var/lib/clamav/lab.ndb")
        units = "postfix unbound clamd@scan spamassassin"
        on(host, f"systemctl start {units}")
        assert on(host, f"systemctl is-active {units}").split() == ["active"] * 4
        on(host, "echo el-lab-test >/tmp/found")
        assert "Lab.Test.UNOFFICIAL FOUND" in on(host, "clamdscan --fdpass /tmp/found", check=False)
        on(host, "echo key value >/etc/postfix/map; postmap lmdb:/etc/postfix/map")
        assert on(host, "postmap -q key lmdb:/etc/postfix/map").strip() == "value"
        on(host, "printf 'Subject: lab\\n\\nx\\n' | sendmail root")
        arrived = (
            "for i in $(seq 50); do grep -qs ^Subject:.lab /var/mail/root && exit; sleep 0.2; done; exit 1"
        )
        on(host, arrived)

    def test_the_roles_refuse_it_where_the_inventory_says_another(
        self, made: LabState, tmp_path: Path
    ) -> None:
        host = gateway(made)
        before = on(host, "find /etc -type f | sort | xargs sha256sum | sha256sum")
        done = deploy("apply", varied(tmp_path, 'data["platform"] = "debian12"'), lab=made.name)
        assert done.returncode == 1
        assert "this host runs Enterprise Linux 9, and `platform` says debian12" in done.stderr
        assert on(host, "find /etc -type f | sort | xargs sha256sum | sha256sum") == before
