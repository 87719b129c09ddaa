"""Other packet filters on a host: what tells them, and how they are ended without a moment in which there is none.

The attack it stops: a filter that nobody thinks of any more, and that puts its own rules in the place of ours at the next boot,
or when its package is upgraded (nftables' unit begins with `flush ruleset`, and its package starts it anew).
"""

from typing import Final

# Units that load rules by themselves, whatever the platform; iptables and ip6tables are EL's.
UNITS: Final = (
    "nftables",
    "firewalld",
    "ufw",
    "fail2ban",
    "sshguard",
    "shorewall",
    "shorewall6",
    "ferm",
    "iptables",
    "ip6tables",
)
# Tables that bear the names of those that iptables-nft(8) keeps and hold somebody else's chains or rules, as `table ip filter`.
# iptables-save(8) shows of them a part at most, and that everything passes; it says so in a comment, and succeeds.
FOREIGN: Final = " ".join(
    f'{tool}-save 2>/dev/null | sed -n "s/^# Table .\\([a-z]*\\)\' .*incompatible.*/table {name} \\1/p";'
    for tool, name in (("iptables", "ip"), ("ip6tables", "ip6"))
)
# All other tables that iptables-nft(8) keeps, ours among them, iptables-save(8) shows.
NATIVE: Final = (
    f"{FOREIGN} command -v nft >/dev/null || exit 0; tables=$(nft list tables) || exit 1; "
    "printf '%s\\n' \"$tables\" | grep -vxE '(table ip6? (filter|nat|mangle|raw|security))?' || true"
)
# Where what was removed is kept, for who wants it back.
KEPT: Final = "/var/lib/bastide/nft-before"
_NFT_FAMILY: Final = {4: "ip", 6: "ip6"}
_REMEDY: Final = (
    "install nftables, or take out of that table what iptables or what nft has put there, and deploy again"
)

_SERVICES: Final = " ".join(f"{unit}.service" for unit in UNITS)
# Those that are on. Of a name that is another unit's alias (Debian's loader has iptables') the Id is that unit's.
_ON: Final = (
    f"systemctl show --property Id,UnitFileState,ActiveState {_SERVICES} | "
    """awk -F= 'function told() { if (on && index(" """
    + _SERVICES
    + """ ", " " id " ")) print id; id = ""; on = 0 } """
    """/^$/ { told() } $1 == "Id" { id = $2 } $2 ~ /^(enabled|active)/ { on = 1 } END { told() }' | sort -u"""
)
FOUND: Final = f"{_ON}; ( {NATIVE} )"
# What ends such a unit properly takes all rules with it, ours too: so they are killed, and what they left is removed.
_DROP_IN: Final = "[Service]\\nExecStop=\\nExecStopPost=\\nKillSignal=SIGKILL\\n"
ENDED: Final = f"""set -e
for u in $({_ON}); do
d=/run/systemd/system/$u.d; mkdir -p $d; printf '{_DROP_IN}' >$d/bastide.conf
systemctl daemon-reload; systemctl --quiet disable $u; systemctl stop $u; systemctl reset-failed $u 2>/dev/null || true
rm -r $d; systemctl daemon-reload
done
( {NATIVE} ) | grep -vxE 'table ip6? filter' | while read -r word table; do
mkdir -p -m 700 {KEPT.rpartition("/")[0]}; nft -s list table $table >>{KEPT}; nft delete table $table
done"""


def nft_kept(family: int, saved: str) -> str:
    """Return the script that keeps a family's filter table, if it is FOREIGN, as nft(8) reads it back in one step, in ``saved``.nft.

    ``saved`` has what iptables-save(8) says of it. The script fails where that cannot be: nft is not there, or does not
    understand its own words for what iptables has put beside it.
    """
    table = f"{_NFT_FAMILY[family]} filter"
    return (
        f"rm -f {saved}.nft; if grep -q '^# Table .*incompatible' {saved}; then "
        f"{{ echo add table {table}; echo delete table {table}; nft -s list table {table}; }} >{saved}.nft.new && "
        f"nft -c -f {saved}.nft.new || {{ echo 'table {table} is not of iptables, and cannot be kept as what comes back: {_REMEDY}' "
        f">&2; exit 1; }}; mkdir -p -m 700 {KEPT.rpartition('/')[0]}; nft -s list table {table} >>{KEPT}; "
        f"mv -f {saved}.nft.new {saved}.nft; fi"
    )
