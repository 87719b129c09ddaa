"""Put SpamAssassin on a host."""

from roles.kinds import SpamassassinOption
from roles.operations import files_owned, layer, packages_installed, unit_current
from roles.platforms import Platform
from roles.rendering import OwnedFile, lines, rendered
from roles.settings import SPAMD_SOCKET, Gateway
from roles.spamassassin.defences import BAYES_DIRECTORY, DEFENCES

RULES_FILE = "/etc/spamassassin/local.cf"
RESTORE = "/etc/spamassassin/restore.pm"
DROP_IN = "/etc/systemd/system/spamd.service.d/bastide.conf"


@layer("SpamAssassin")
def apply(gateway: Gateway, platform: Platform) -> None:
    """Have spamd score mail for filterd."""
    packages_installed(
        name="Install SpamAssassin", packages=platform.packages["spamassassin"], manager=platform.manager
    )
    files_owned(
        name="Write SpamAssassin's configuration",
        files=_files(gateway, platform),
        # The plugins of *.pre are not staged: the file is checked beside the live ones.
        check=platform.here(
            "site=$(mktemp -d); trap 'rm -rf $site' EXIT; "
            f"cp /etc/spamassassin/*.pre $stage{RULES_FILE} $stage{RESTORE} $site; "
            # --lint warns of a plugin that cannot be read, and goes on without it.
            f"perl -T -c $stage{RESTORE} && spamassassin --lint --siteconfigpath=$site"
        ),
    )
    unit_current(
        name="Run spamd with its configuration",
        unit=platform.unit("spamd.service"),
        files=[platform.here(each) for each in (RULES_FILE, RESTORE, DROP_IN)],
        on_change="restart",
    )
    unit_current(
        name="Look for new rules every day",
        unit=platform.unit("spamassassin-maintenance.timer"),
        files=(),
        on_change="start",
    )


def _files(gateway: Gateway, platform: Platform) -> list[OwnedFile]:
    values = {
        "bayes": BAYES_DIRECTORY,
        # By its name alone: SpamAssassin looks beside the file that names it, in the stage too.
        "restore": RESTORE.rpartition("/")[2],
        "options": list(lines(DEFENCES, SpamassassinOption, gateway)),
        "socket": platform.here(SPAMD_SOCKET),
    }
    templates = {RULES_FILE: "local.cf.j2", RESTORE: "restore.pm.j2", DROP_IN: "spamd.conf.j2"}
    return [
        OwnedFile(path=platform.here(path), content=rendered("spamassassin", template, gateway, **values))
        for path, template in templates.items()
    ]
