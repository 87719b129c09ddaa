"""The ledger's defences: where each message's record is, that it can be read, and that nobody else can."""

import json
from typing import Final

from roles.defence import Defence
from roles.filterd.ledger import (
    ASK,
    AUTHORITIES_FILE,
    CONFIGURATION,
    DATA,
    PASSWORD_FILE,
    SQLITE,
    SQLITE_DIRECTORY,
    UNIT,
    url,
)
from roles.kinds import FileMode, FilterdOption, HostAnswer, UnitOption
from roles.kinds.questions import counted
from roles.settings import Gateway

_FROM_THE_HOST: Final = "Where records are kept is seen from the host alone."
# A store that no ledger has yet, as on a gateway that has kept nothing, is anybody's.
_STATUS: Final = (
    "/usr/local/bin/filterd ledger status --json | python3 -c 'import json, sys; s = json.load(sys.stdin); "
    'print("tables of {} release, {} store".format("this" if s["revision"] == s["newest"] else "another", '
    'dict.fromkeys(("own", "none\\x27s"), "its own").get(s["store"], s["store"])))\''
)
# What a rule of pg_hba.conf that PostgreSQL could not read says stands in its last column.
_RULES: Final = (
    "SELECT string_agg(concat_ws(' ', type, array_to_string(database, ','), array_to_string(user_name, ','), address, "
    "auth_method, error), '; ' ORDER BY line_number) FROM pg_hba_file_rules"
)


def _url(gateway: Gateway) -> str:
    return json.dumps(url(gateway.ledger))


LEDGER = (
    Defence(
        id="filterd.ledger",
        title="The ledger is where the inventory says, answers, and knows what is kept",
        why="Without the record of a message nobody finds what became of it; a store whose ledger is another one's is mail that nobody "
        "gets.",
        rows=("P12", "W01"),
        sets=(
            FilterdOption("ledger.url", _url),
            HostAnswer(
                subject="ledger's answer",
                command=_STATUS,
                matches="tables of this release, its own store",
                refuted_by="tables of this release, another's store",
            ),
        ),
        unseen=_FROM_THE_HOST,
        weight=7,
    ),
    Defence(
        id="filterd.ledger-file",
        title="The ledger's file is filterd's alone",
        why="It says who wrote to whom, and who can write it decides who gets kept mail.",
        rows=("P12", "M05"),
        sets=(
            FileMode(path=SQLITE_DIRECTORY, mode="700", owner="filterd", group="filterd"),
            FileMode(path=SQLITE, mode="600", owner="filterd", group="filterd"),
        ),
        unseen="File modes are seen from the host alone.",
        when=lambda gateway: gateway.ledger.kind == "sqlite",
        weight=8,
    ),
    Defence(
        id="filterd.ledger-here",
        title="The ledger's PostgreSQL listens on no network and knows filterd and its administrator alone",
        why="Whoever can log in to it reads who wrote to whom, and decides who gets kept mail; a port of it is one more door.",
        rows=("P12", "H03"),
        sets=(
            UnitOption(unit=UNIT, option="ActiveState", value="active"),
            UnitOption(unit=UNIT, option="UnitFileState", value="enabled"),
            HostAnswer(
                subject="addresses that the ledger's PostgreSQL listens on",
                command=f"{ASK} -c \"SELECT coalesce(nullif(current_setting('listen_addresses'), ''), 'none')\"",
                matches="none",
                refuted_by="localhost",
            ),
            HostAnswer(
                subject="sockets on which a PostgreSQL listens to a network",
                command=counted("ss -H -l -n -t -u -p | grep '\"postgres\"' || true"),
                matches="0",
                refuted_by="1",
            ),
            HostAnswer(
                subject="who may log in to the ledger's PostgreSQL, and how",
                command=f'{ASK} -c "{_RULES}"',
                matches="local filterd filterd peer; local all postgres peer",
                refuted_by="local filterd filterd peer; local all postgres peer; host all all 127.0.0.1 trust",
            ),
            FileMode(path=DATA, mode="700", owner="postgres", group="postgres"),
            FileMode(path=f"{CONFIGURATION}/pg_hba.conf", mode="640", owner="postgres", group="postgres"),
        ),
        unseen="It is nowhere to be seen from outside: ports that are open and not declared are found by firewall.services.",
        when=lambda gateway: gateway.ledger.here,
        weight=8,
    ),
    Defence(
        id="filterd.ledger-elsewhere",
        title="The ledger's server is proven by its certificate, and filterd alone can read the password for it",
        why="The records go over a network: who answers in the server's place reads them, learns the password, and can say that a "
        "message was written down which was not.",
        rows=("P12", "H03"),
        sets=(
            FileMode(path=PASSWORD_FILE, mode="600", owner="filterd", group="filterd"),
            FileMode(path=AUTHORITIES_FILE, mode="644"),
        ),
        unseen=_FROM_THE_HOST,
        when=lambda gateway: gateway.ledger.elsewhere,
        weight=8,
    ),
)
