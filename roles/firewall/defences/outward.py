"""What may leave, and as whom."""

from roles.defence import Defence
from roles.firewall.defences.base import FAMILIES, Rules, accepted, each, fixed
from roles.firewall.owners import DIRECTORY, MAIL, WAYS, declared
from roles.kinds import FirewallRule
from roles.settings import Gateway


def _ways(family: int) -> Rules:
    def rules(gateway: Gateway) -> tuple[str, ...]:
        return tuple(rule for way in WAYS for rule in way.rules(gateway, family))

    return rules


def _declared(family: int) -> Rules:
    def rules(gateway: Gateway) -> tuple[str, ...]:
        # Two declarations may have a part in common.
        return tuple(dict.fromkeys(rule for way in declared(gateway) for rule in way.rules(gateway, family)))

    return rules


MAIL_OUT = Defence(
    id="firewall.mail-out",
    title="Only the MTA's user opens connections by which mail leaves",
    why="Spam from a host that was broken into leaves on port 25, and not as the MTA: it gets no farther than this rule.",
    rows=("H03", "A01"),
    sets=each("OUTPUT", lambda family: accepted(lambda gateway: MAIL.rules(gateway, family))),
    unseen="Egress is seen from the host; the acceptance tests try connections outwards from there, as each user.",
    weight=8,
)
DIRECTORIES = Defence(
    id="firewall.directory",
    title="Directories are asked only where one is declared, and only by the MTA and a deploy",
    why="A gateway that knows its recipients otherwise has nothing to ask of a directory of the house.",
    rows=("H03",),
    sets=each("OUTPUT", lambda family: accepted(lambda gateway: DIRECTORY.rules(gateway, family))),
    unseen="Egress is seen from the host; the acceptance tests ask a directory from there.",
)
EGRESS = Defence(
    id="firewall.egress",
    title="Outwards each user reaches what it needs: the resolver name servers, who fetches updates the web",
    why="A daemon that is taken over finds no way home: not by the ports that others need, and not by names, which only the "
    "resolver asks for. Root itself has none either, but to the port of a declared log server.",
    rows=("H03",),
    sets=each("OUTPUT", lambda family: accepted(_ways(family))),
    unseen="Egress is seen from the host; the acceptance tests try connections outwards from there, as each user.",
    weight=8,
)
DECLARED = Defence(
    id="firewall.declared-egress",
    title="What else a site needs outwards is declared: who, where to, and why",
    why="A directory's daemon, a proxy, an agent of monitoring or backup each needs one way. Declared, it is that one; without a "
    "setting somebody adds a rule by hand that opens more, and that the next deploy takes away.",
    rows=("H03",),
    when=lambda gateway: bool(gateway.firewall.egress),
    sets=each("OUTPUT", lambda family: accepted(_declared(family))),
    unseen="Egress is seen from the host; the acceptance tests try connections outwards from there, as each user.",
    weight=6,
)
DROPPED_OUT = Defence(
    id="firewall.log-out",
    title="What wants to leave and may not is logged, at a rate that cannot fill the disk",
    why="A connection outwards that nobody declared is the first sign of a daemon that obeys somebody else.",
    rows=("H04",),
    sets=tuple(
        FirewallRule(
            family=family,
            chain="OUTPUT",
            rules=fixed(
                '-m limit --limit 1/sec --limit-burst 20 -j LOG --log-prefix "bastide out: " --log-uid'
            ),
        )
        for family in FAMILIES
    ),
    unseen="Log lines are written for the administrator; in a container the kernel writes none (net.netfilter.nf_log_all_netns).",
    weight=4,
)
