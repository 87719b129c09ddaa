"""R07, R08: lists of senders, which refuse, or take away the spam score of a sender who is proven, and nothing else."""

from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd import listing, scan
from filterd.anatomy import Anatomy
from filterd.config import Config, ListEntry
from filterd.findings import Finding, Verdict
from filterd.message import Envelope
from filterd.pipeline import Report
from filterd.policy import decide, explain, reported, settled
from tests.unit.filterd.policies import MONDAY, config, envelope, found, one, report, spam
from tests.unit.filterd.test_filterd_policy_any import configs, envelopes, moments, reports

ANN, BOB = "ann@example.org", "bob@example.org"
FRIEND = "joe@friend.example"


def entry(verdict: str = "accept", *senders: str, **more: Any) -> dict[str, Any]:
    return {"name": "mine", "verdict": verdict, "senders": senders or ("@friend.example",), **more}


def lists(*entries: dict[str, Any], **sections: Any) -> Config:
    return config(list=entries, **sections)


def scored(*symbols: str, score: float = 12, author: str = "", more: tuple[Finding, ...] = ()) -> Report:
    finding = msgspec.structs.replace(spam(score), detail=",".join(("HTML_MESSAGE", *symbols)))
    made = report(finding, *more)
    return msgspec.structs.replace(made, anatomy=Anatomy(author=author))


def fates(seen: Report, settings: Config, mail: Envelope, now: datetime = MONDAY) -> dict[bytes, str]:
    made = decide(seen, mail, settings, now=now)
    return {who: each.wanted for each in made for who in each.recipients}


def from_friend(sender: str = f"<{FRIEND}>", **more: Any) -> Envelope:
    return envelope(ANN, sender=sender, **more)


@pytest.mark.parametrize(
    ("symbols", "author", "sender", "fate"),
    [
        (("SPF_PASS",), "", f"<{FRIEND}>", "deliver"),
        (("SPF_PASS",), "x@other.example", f"<{FRIEND}>", "deliver"),
        ((), FRIEND, f"<{FRIEND}>", "reject"),
        (("SPF_FAIL", "SPF_HELO_PASS", "DKIM_VALID", "DKIM_SIGNED"), FRIEND, f"<{FRIEND}>", "reject"),
        # SPF speaks for the envelope's sender alone, DKIM for the author alone.
        (("SPF_PASS",), FRIEND, "<x@other.example>", "reject"),
        (("DKIM_VALID_AU",), "x@other.example", f"<{FRIEND}>", "reject"),
        (("DKIM_VALID_AU",), "", f"<{FRIEND}>", "reject"),
        (("DKIM_VALID_AU",), FRIEND, "<bounce@other.example>", "deliver"),
        (("SPF_PASS", "DKIM_VALID_AU"), "x@other.example", "<x@other.example>", "reject"),
        # Written in a way that two programs may read differently: SPF was perhaps asked about another domain.
        (("SPF_PASS",), "", f"<@other.example:{FRIEND}>", "reject"),
        (("SPF_PASS",), "", '<"x@other.example"@friend.example>', "reject"),
        (("SPF_PASS",), "", "<x@other.example@friend.example>", "reject"),
        (("SPF_PASS",), "", f"<{FRIEND.upper()}>", "deliver"),
    ],
)
def test_who_is_proven(symbols: tuple[str, ...], author: str, sender: str, fate: str) -> None:
    settings_ = lists(entry())
    assert one(scored(*symbols, author=author), settings_, from_friend(sender)).fate == fate


@pytest.mark.parametrize("client", ["10.1.2.3", "192.168.0.1", "::1", "fd00::1", "127.0.0.1", "203.0.113.5"])
def test_spf_says_nothing_where_spamassassin_trusts_the_client(client: str) -> None:
    settings_ = lists(entry(), policy={"internal_networks": ["203.0.113.0/24"]})
    assert one(scored("SPF_PASS"), settings_, from_friend(client=client)).fate == "reject"


def test_spf_says_nothing_of_a_logged_in_user() -> None:
    mail = from_friend()
    mail.user = b"joe"
    assert one(scored("SPF_PASS"), lists(entry()), mail).fate == "reject"


def test_without_authentication_the_address_is_enough() -> None:
    settings_ = lists(entry(authentication="none", clients=["198.51.100.0/24"]))
    assert one(scored(), settings_, from_friend()).fate == "deliver"
    assert one(scored(), settings_, from_friend(client="192.0.2.9")).fate == "reject"


@pytest.mark.parametrize(
    "verdict", [v for v in Verdict if v not in {Verdict.CLEAN, Verdict.ENCRYPTED, Verdict.BULK}]
)
def test_nothing_but_the_score_is_taken_away(verdict: Verdict) -> None:
    # R07
    settings_ = lists(entry(authentication="none"), chains={"bulk": ["reject"], "encrypted": ["reject"]})
    alone = one(scored(score=0, more=(found(verdict),)), settings_, from_friend())
    assert one(scored(more=(found(verdict),)), settings_, from_friend()) == alone
    assert alone.fate != "deliver"


def test_a_content_rule_of_class_spam_counts_and_a_bulk_score_does_not() -> None:
    content = {"name": "x", "pattern": "x", "verdict": "spam"}
    settings_ = lists(entry(authentication="none"), content=[content], chains={"bulk": ["reject"]})
    assert one(scored(score=6), settings_, from_friend()).fate == "deliver"
    assert one(scored(more=(found("spam", rule="content.x"),)), settings_, from_friend()).rule == "content.x"


def test_each_recipient_has_his_own_lists() -> None:
    # R08: global, per domain, per recipient.
    mail = envelope(ANN, BOB, "eve@other.example", sender=f"<{FRIEND}>")
    for recipients, wanted in (
        ((), ["deliver"] * 3),
        ((ANN,), ["deliver", "reject", "reject"]),
        (("@example.org",), ["deliver", "deliver", "reject"]),
    ):
        settings_ = lists(entry(recipients=recipients))
        assert list(fates(scored("SPF_PASS"), settings_, mail).values()) == wanted
        refusing = lists(entry("reject", recipients=recipients))
        other = {"deliver": "reject", "reject": "deliver"}
        assert list(fates(report(), refusing, mail).values()) == [other[fate] for fate in wanted]


def test_a_refusal_names_its_rule_and_goes_before_what_accepts() -> None:
    both = lists(entry(), {**entry("reject", FRIEND), "name": "pest"})
    made = one(scored("SPF_PASS"), both, from_friend())
    assert (made.fate, made.verdict, made.rule) == ("reject", Verdict.BANNED, "list.reject")
    assert made.findings[0].detail == f"list pest: envelope sender {FRIEND}"
    author = one(scored(score=0, author=FRIEND), both, from_friend("<x@other.example>"))
    assert author.findings[0].detail == f"list pest: From {FRIEND}"


def test_a_refusal_has_modes_and_chains_as_any_rule() -> None:
    assert (
        one(report(), lists(entry("reject"), rules={"list.reject": "warn"}), from_friend()).fate == "deliver"
    )
    assert one(report(), lists(entry("reject"), chains={"banned": ["move"]}), from_friend()).fate == "move"


def test_an_entry_runs_out_with_its_day() -> None:
    settings_ = lists(entry("reject", until="2026-03-02"))
    assert one(report(), settings_, from_friend()).fate == "reject"
    assert fates(report(), settings_, from_friend(), MONDAY + timedelta(days=1)) == {
        f"<{ANN}>".encode(): "deliver"
    }


def test_entries_may_come_from_elsewhere() -> None:
    own = (ListEntry(name="db", verdict="reject", senders=(FRIEND,), until=date(2026, 12, 31)),)
    (made,) = decide(report(), from_friend(), Config(), now=MONDAY, entries=own)
    assert made.rule == "list.reject"
    assert settled((), from_friend(), Config(), MONDAY, scanned=False, entries=own)
    assert reported(from_friend(), "", Config(), MONDAY, entries=own)
    (given_,) = decide(report(), from_friend(), lists(entry("reject")), now=MONDAY, entries=())
    assert given_.fate == "deliver"


def test_a_refused_sender_is_settled_before_any_engine_unless_somebody_gets_it() -> None:
    settings_ = lists(entry("reject", recipients=[ANN]))
    assert settled((), from_friend(), settings_, MONDAY, scanned=False)
    assert not settled((), envelope(ANN, BOB, sender=f"<{FRIEND}>"), settings_, MONDAY, scanned=False)
    moved = lists(entry("reject"), chains={"banned": ["move"]})
    assert not settled((), from_friend(), moved, MONDAY, scanned=False)  # malware in it is refused
    # By the author: known once it was taken apart.
    stranger = from_friend("<x@other.example>")
    assert not settled((), stranger, settings_, MONDAY, scanned=False)
    assert settled((), stranger, settings_, MONDAY, scanned=False, author=FRIEND)


def test_what_is_reported_names_the_list_and_for_whom() -> None:
    settings_ = lists(entry("reject", recipients=["@example.org"]), entry("accept"))
    mail = envelope(*(f"u{n}@example.org" for n in range(7)), "x@other.example", sender=f"<{FRIEND}>")
    (finding,) = reported(mail, "", settings_, MONDAY)
    assert (finding.stage, finding.verdict, finding.rule) == ("lists", Verdict.BANNED, "list.reject")
    assert finding.detail.startswith(
        f"list mine: envelope sender {FRIEND}, for u0@example.org, u1@example.org,"
    )
    assert finding.detail.endswith(", 2 more")
    assert reported(from_friend("<x@other.example>"), "", settings_, MONDAY) == ()


@pytest.mark.parametrize(
    ("seen", "holds", "words"),
    [
        (scored("SPF_PASS"), "yes", f"accepts the sender, whose spam score does not count: SPF_PASS of envelope sender {FRIEND}"),
        (scored(author=FRIEND), "no", "is treated as everybody else: no SPF_PASS for envelope sender"),
        (report(), "not known", "would accept the sender if he were proven"),
    ],
)  # fmt: skip
def test_scan_says_whether_an_entry_holds(seen: Report, holds: str, words: str) -> None:
    # R24
    settings_, mail = lists(entry()), from_friend()
    told = explain(seen, mail, settings_, now=MONDAY)
    record = scan.scanned("F", seen, told, mail, settings_)
    assert [each.holds for each in record.decisions[0].lists] == [holds]
    assert words in scan.as_text(record)


def test_stages_lists_the_rule() -> None:
    first = listing.stages(Config())[0]
    assert (first.stage, [rule.rule for rule in first.rules]) == (
        "lists",
        ["list.reject", "list.unproven"],
    )


entries = st.builds(
    ListEntry,
    name=st.just("x"),
    verdict=st.sampled_from(["accept", "reject"]),
    senders=st.sampled_from([("s@sender.example",), ("@sender.example", "<>"), ("@other.example",)]),
    recipients=st.sampled_from([(), ("@example.org",), ("a@example.org", "c@example.net")]),
    clients=st.sampled_from([(), ("192.0.2.0/24",)]),
    authentication=st.sampled_from(["required", "none"]),
    until=st.sampled_from([date(2026, 6, 1), date.max]),
)
authors = st.sampled_from(["", "s@sender.example", "x@other.example"])
symbols = st.lists(st.sampled_from(["SPF_PASS", "DKIM_VALID_AU", "X"]), max_size=3)
spams = st.builds(
    lambda score, names: msgspec.structs.replace(spam(score), detail=",".join(names)),
    st.floats(-10, 30),
    symbols,
)


@settings(max_examples=300, deadline=None)
@given(
    configs(),
    reports,
    st.none() | spams,
    envelopes,
    st.tuples(st.lists(entries, max_size=4), moments, authors),
)
def test_lists_only_refuse_or_take_the_score_away(
    base: Config,
    seen: Report,
    score: Finding | None,
    mail: Envelope,
    rest: tuple[list[ListEntry], datetime, str],
) -> None:
    """Whatever the lists: one fate a recipient; without a score none accepts, and none makes more than that lenient."""
    given_, now, author = rest
    with_score = seen.results if score is None or not seen.results else (
        msgspec.structs.replace(seen.results[0], findings=(*seen.results[0].findings, score)),
        *seen.results[1:],
    )  # fmt: skip
    whole = msgspec.structs.replace(seen, results=with_score, anatomy=Anatomy(author=author))
    made = decide(whole, mail, base, now=now, entries=given_)
    assert sorted(who for each in made for who in each.recipients) == sorted(mail.recipients)
    bare = msgspec.structs.replace(seen, anatomy=Anatomy(author=author))
    refusing = [one for one in given_ if one.verdict == "reject"]

    def wanted(report_: Report, lists_: list[ListEntry]) -> dict[bytes, str]:
        return {
            who: each.wanted
            for each in decide(report_, mail, base, now=now, entries=lists_)
            for who in each.recipients
        }

    full, strict, scoreless = wanted(whole, given_), wanted(whole, refusing), wanted(bare, refusing)
    assert all(full[who] in {strict[who], scoreless[who]} for who in full)
