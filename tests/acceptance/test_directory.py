"""Recipients that a directory knows, asked of a real one (R17)."""

from pathlib import Path

from lab.plan import LabState
from tests.acceptance.directory import ADDRESS, BASE, PASSWORD, PORT, READER, directory
from tests.acceptance.gateway import GatewayHost
from tests.acceptance.labs import INVENTORY, deploy
from tests.acceptance.lacking import needs
from tests.acceptance.outside import Outside
from tests.acceptance.test_breakage import audited
from tests.acceptance.test_deploy import varied
from tests.acceptance.test_rules import ALICE, rcpt

SETTINGS = (
    f'{{"servers": ["ldap://{ADDRESS}:{PORT}"], "base": "{BASE}", "bind_dn": "{READER}", '
    f'"bind_password_file": "SECRET", "filter": "FILTER"}}'
)


def inventory(tmp_path: Path, question: str) -> str:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    ldap = SETTINGS.replace("FILTER", question).replace("SECRET", str(secret))
    chosen = f'{{"listed.bastide.example": {{"method": "ldap", "ldap": {ldap}}}}}'
    return varied(tmp_path, f'data["recipients"] = {chosen}')


@needs("mta.directory-private")
def test_a_directory_knows_who_there_is(
    lab: LabState, gateway: GatewayHost, wan: Outside, tmp_path: Path
) -> None:
    try:
        with directory(lab, ["erin@listed.bastide.example"]):
            refused = deploy("apply", inventory(tmp_path, "(=%s)"), lab=lab.name)
            assert refused.returncode == 1
            assert "/etc/postfix/directory-listed.bastide.example.cf" in refused.stdout + refused.stderr
            assert "setting recipients" in refused.stdout + refused.stderr
            done = deploy("apply", inventory(tmp_path, "(mail=%s)"), lab=lab.name)
            assert done.returncode == 0, done.stderr[-3000:]
            assert rcpt(wan, ALICE, "erin@listed.bastide.example").startswith("250 ")
            assert rcpt(wan, ALICE, "erin+shop@listed.bastide.example").startswith("250 ")
            assert rcpt(wan, ALICE, "bob+erin@listed.bastide.example").startswith("550 ")
            said = rcpt(wan, ALICE, "bob@listed.bastide.example")
            assert said.startswith("550 ")
            assert said.endswith("(rule mta.recipient-listed)")
            # A pattern in the question is a character like any other (RFC 4515).
            assert rcpt(wan, ALICE, "*@listed.bastide.example").startswith("550 ")
            assert rcpt(wan, ALICE, "bob@bastide.example").startswith("250 ")
        # Without an answer nobody is refused for good, nor let in unknown.
        assert rcpt(wan, ALICE, "bob@listed.bastide.example").startswith("451 ")
        # The directory's silence does not keep a deploy from changing something else.
        assert deploy("apply", inventory(tmp_path, "(mail=%s)"), lab=lab.name).returncode == 0
        assert PASSWORD not in gateway.run(
            "su -s /bin/sh nobody -c 'cat /etc/postfix/directory-listed.bastide.example.cf' 2>&1", check=False
        )
    finally:
        assert deploy("apply", INVENTORY, lab=lab.name).returncode == 0
    assert gateway.run("ls /etc/postfix | grep -c ^directory || true").strip() == "0"
    assert audited(lab, "mta.recipient").returncode == 0
