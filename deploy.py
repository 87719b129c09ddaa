"""The gateway, layer by layer: `pyinfra inventory/lab.py deploy.py -y`. Outermost first, each with its reason."""

from pyinfra import host

from roles.clamav import deploy as clamav
from roles.dns import deploy as dns
from roles.filterd import deploy as filterd
from roles.filterd import postgresql as ledger
from roles.firewall import beginning as ways
from roles.firewall import deploy as firewall
from roles.hardening import deploy as hardening
from roles.hardening.beginning import may_begin
from roles.history import deploy as history
from roles.integrity import deploy as integrity
from roles.locking import alone
from roles.mta import deploy as mta
from roles.reports import deploy as reports
from roles.sandbox import deploy as sandbox
from roles.session import prepared
from roles.spamassassin import deploy as spamassassin
from roles.updates import deploy as updates

gateway, platform = prepared(host)
alone(host)  # before the first question: no other run changes the answers, or takes this one's way back
ways.may_begin(gateway)  # before the first change: what no interface lets in
may_begin(gateway)  # before the first change: what would shut out who administers
ledger.may_begin(gateway, platform)  # and what would leave kept mail behind

history.begins(gateway, platform)  # before the first change: all of them can be taken back
mta.may_begin(gateway, platform)  # before what belongs to another MTA is taken from it
firewall.apply(gateway, platform)  # before anything listens that it must cover
hardening.apply(gateway, platform)  # before strangers are let in
sandbox.apply(gateway, platform)  # before the daemons that start in it
dns.apply(gateway, platform)  # a resolver that validates, before the MTA that believes it
mta.apply(gateway, platform)  # answers 451 until filterd is there: nothing passes unfiltered
clamav.apply(gateway, platform)  # the engines before the daemon that asks them
spamassassin.apply(gateway, platform)
filterd.apply(gateway, platform)  # from here on mail flows
reports.apply(gateway, platform)  # what counted it says so each night
updates.apply(gateway, platform)  # behind all that it judges
integrity.apply(gateway, platform)  # watches all that the layers above have put there
history.ends(gateway, platform)  # behind the last change, of which it files what was different
integrity.looked(gateway, platform)  # what the record explains is the baseline; a copy of it comes here
