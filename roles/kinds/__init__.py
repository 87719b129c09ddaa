"""Kinds: what a defence sets on the host; a file for each part of the host that is asked."""

from roles.kinds.base import NEEDS, Kind, LineOption, Need, Value, applies, need_of, resolved
from roles.kinds.engines import ClamdOption, FilterdOption, FreshclamOption, SpamassassinOption
from roles.kinds.host import FileMode, HostAnswer, InterfaceSysctl, SshdOption, Sysctl, UnitOption
from roles.kinds.packets import ChainPolicy, FilterTable, FirewallRule, Listeners, OpenPorts
from roles.kinds.postfix import (
    DnsblSites,
    MainCf,
    PostfixMap,
    Restriction,
    RestrictionList,
    TableFiles,
    TableRestrictions,
)
from roles.kinds.resolver import UnboundOption
from roles.kinds.sendmail import (
    AccessEntry,
    SendmailFeature,
    SendmailMacro,
    SendmailMap,
    SendmailMc,
    SendmailOption,
    SendmailPatterns,
    SendmailRule,
    SendmailRuleset,
    SendmailText,
)

__all__ = [
    "NEEDS",
    "AccessEntry",
    "ChainPolicy",
    "ClamdOption",
    "DnsblSites",
    "FileMode",
    "FilterTable",
    "FilterdOption",
    "FirewallRule",
    "FreshclamOption",
    "HostAnswer",
    "InterfaceSysctl",
    "Kind",
    "LineOption",
    "Listeners",
    "MainCf",
    "Need",
    "OpenPorts",
    "PostfixMap",
    "Restriction",
    "RestrictionList",
    "SendmailFeature",
    "SendmailMacro",
    "SendmailMap",
    "SendmailMc",
    "SendmailOption",
    "SendmailPatterns",
    "SendmailRule",
    "SendmailRuleset",
    "SendmailText",
    "SpamassassinOption",
    "SshdOption",
    "Sysctl",
    "TableFiles",
    "TableRestrictions",
    "UnboundOption",
    "UnitOption",
    "Value",
    "applies",
    "need_of",
    "resolved",
]
