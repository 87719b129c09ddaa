"""What the strict loader says about chains, groups, rules and conditions: setting, mistake and remedy, each once."""

import re
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.config import Config, taken
from filterd.config.actions import ACTIONS, NAMES, ActionKind, is_address, step
from filterd.config.conditions import pattern_problem, span
from filterd.config.words import explained
from filterd.errors import ConfigError

CHAINS = "[policy.chains]\n"
TWO = "[[group]]\nname = 'a'\n[[group]]\nname = 'b'\n"


def words(read: Callable[[], object], refusal: type[Exception]) -> str | None:
    """Return in which words something is refused, or None if it is taken."""
    try:
        read()
    except refusal as error:
        return str(error)
    return None


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        taken(text.encode(), "f.toml")
    return str(error.value).removeprefix("f.toml: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "spam = []",
            r"[policy.chains] spam: expected `array` of length >= 1; .* (the default is [\"reject\"])",
        ),
        ("spam = 'reject'", "[policy.chains] spam: expected `array`, got `str`; .*"),
        ("spam = [1]", "[policy.chains] spam, entry 1: expected `str`, got `int`; correct it"),
        (
            "spam = ['tag'" + ", 'tag'" * 16 + "]",
            "[policy.chains] spam: expected `array` of length <= 16; .*",
        ),
        ("span = ['reject']", "[policy.chains] has no setting 'span'; did you mean spam?"),
        (
            "spam = ['tag', 'rejct']",
            "[policy.chains] spam, step 2: 'rejct' is no action; did you mean reject?",
        ),
        ("spam = ['Reject']", "[policy.chains] spam, step 1: 'Reject' is no action; .*"),
        ("spam = ['zzz']", "[policy.chains] spam, step 1: 'zzz' is no action; known are copy, .*"),
        (
            "spam = ['reject now']",
            ".*'reject now': what stands behind the action is not what it takes; write `reject`",
        ),
        ("spam = ['forward']", ".*'forward': what it takes is missing; write `forward ADDRESS`"),
        ("spam = ['forward a b']", ".*; write `forward ADDRESS`"),
        ("spam = ['forward  a@b.org']", ".*; write `forward ADDRESS`"),
        ("spam = ['forward root']", ".*'root' is no mail address; write `forward ADDRESS`"),
        ("spam = ['forward <a@b.org>']", ".*is no mail address; .*"),
        ('spam = ["forward a@b.org\\r\\nRCPT TO:<x>"]', ".*has characters that no action has; .*"),
        ("spam = ['forward a@b.org\u2028']", ".*has characters that no action has; .*"),
        ("spam = ['notify']", ".*'notify': what it takes is missing; write `notify WHO…`"),
        ("spam = ['notify boss']", ".*'boss' is none of admin, recipient, sender; .*"),
        ("spam = ['notify recipient recipient']", ".*one is named twice; .*"),
        (
            "spam = ['notify admin', 'reject']",
            ".*'notify admin': [notify] admin is empty; set it to an address",
        ),
        (
            "infected = ['notify sender', 'move']",
            "[policy.chains] infected, step 1: .*a sender is never told.*",
        ),
        ("suspicious = ['notify recipient sender', 'move']", ".*a sender is never told.*"),
        ("banned = ['notify sender', 'move']", ".*a sender is never told.*"),
        ("spam = ['tag body']", ".*write `tag [subject]`"),
        ("spam = ['delete all']", ".*write `delete [notice]`"),
        ("spam = ['stamp legal']", ".*'stamp legal': [notify.stamps] has no 'legal'; write its text there"),
        (
            "spam = ['stamp legl']\n[notify.stamps]\nlegal = 'x'",
            ".*[notify.stamps] has no 'legl'; did you mean legal?",
        ),
        ("spam = ['reject', 'copy']", ".*step 2: nothing is done behind 'reject', which ends the chain; .*"),
        ("spam = ['move', 'discard']", ".*step 2: nothing is done behind 'move'.*"),
        (
            "clean = ['delete']",
            ".*'delete' needs something that was found, and here nothing was; take it away",
        ),
    ],
)
def test_a_wrong_chain(text: str, said: str) -> None:
    pattern = re.escape(said).replace(r"\.\*", ".*").replace(r"\\\"", '"').replace(r'\\"', '"')
    assert re.fullmatch(pattern, refusal(CHAINS + text)), refusal(CHAINS + text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{TWO}times = [3]", "[[group]] 2 (b) times, entry 1: expected `str`, got `int`; correct it"),
        (f"{TWO}tims = []", "[[group]] 2 (b) has no setting 'tims'; did you mean times?"),
        (
            f"{TWO}[group.chains]\nspan = ['move']",
            "[[group]] 2 (b) chains has no setting 'span'; did you mean spam?",
        ),
        (f"{TWO}[group.chains]\nspam = 'x'", "[[group]] 2 (b) chains.spam: expected `array`, got `str`; "),
        (f"{TWO}[group.chains]\nspam = ['x']", "[[group]] b chains spam, step 1: 'x' is no action; "),
        (f"{TWO}[group.rules]\n'x.y' = 'on'", "[[group]] b rules 'x.y' is no rule; "),
        (f"{TWO}[[group]]\nname = 'a'", "[[group]] name = 'a' stands twice: give one of them another name"),
        ("[[group]]\nname = 'A b'", "[[group]] 1 (A b) name: expected `str` matching regex"),
        ("[[group]]\n", "[[group]] 1: object missing required field `name`; correct it"),
        (f"{TWO}clients = ['192.0.2.1/24']", "[[group]] b clients: '192.0.2.1/24' is no network ("),
        (
            f"{TWO}clients = ['::ffff:192.0.2.0/120']",
            "[[group]] b clients: '::ffff:192.0.2.0/120' is an IPv4 network",
        ),
        (
            f"{TWO}recipients = ['example.org']",
            "[[group]] b recipients: 'example.org' is no address pattern; write",
        ),
        (f"{TWO}recipients = ['<>']", "[[group]] b recipients: '<>' is no address pattern; write"),
        (f"{TWO}senders = ['a@*.org']", "[[group]] b senders: 'a@*.org' is no address pattern; write"),
        (f"{TWO}times = ['Monday']", "[[group]] b times: 'Monday' names no days; write them like Mon-Fri"),
        (
            f"{TWO}times = ['24:00-08:00']",
            "[[group]] b times: '24:00-08:00': '24:00-08:00' is no span of the day",
        ),
        (
            f"{TWO}times = ['Mon 8-18']",
            "[[group]] b times: 'Mon 8-18': '8-18' is no span of the day; write it like",
        ),
        (f"{TWO}times = ['08:00-08:00']", "[[group]] b times: '08:00-08:00': "),
        ("[policy]\ninternal_networks = ['x']", "[policy] internal_networks: 'x' is no network ("),
        (
            "[policy]\ntag_subject = '{rule}'",
            "[policy] tag_subject = '{rule}': {verdict} is its only placeholder",
        ),
        (
            "[policy]\nprecision = 'hgh'",
            "[policy] precision: invalid enum value 'hgh'; choose from low, medium",
        ),
        (
            "[policy]\nspam = 'reject'",
            "[policy] has no setting 'spam'; write it as a chain, [policy.chains] spam",
        ),
        (
            "[rules]\n'virus.signatur' = 'on'",
            "[rules] 'virus.signatur' is no rule; did you mean virus.signature?",
        ),
        ("[rules]\n'content.x' = 'on'", "[rules] 'content.x' is no rule; "),
        ("[rules]\n'virus.signature' = 'no'", "[rules]: invalid enum value 'no'; choose from on, warn, off"),
        (
            "[rules]\n'virus.unavailable' = 'warn'",
            "[rules] 'virus.unavailable' = \"warn\" would make clean what nobody",
        ),
        ("[rules]\nvirus = 'on'", "[rules]: expected `str` matching regex"),
        ("[[content]]\nname = 'a'\npattern = '('", "[[content]] a: pattern is no regular expression ("),
        ("[[content]]\nname = 'a'\npattern = 'a'\n" * 2, "[[content]] name = 'a' stands twice"),
        ("[notify]\nadmin = 'root'", "[notify] admin = 'root' is no mail address; write it like"),
        ("[notify]\nsender_address = 'a@b\\nc'", "[notify] sender_address = "),
        (
            "[notify.stamps]\na = ' '",
            "[notify.stamps] a is empty or has control characters; write plain text",
        ),
        ("[notify.stamps]\nA = 'x'", "[notify.stamps]: expected `str` matching regex"),
        (
            "[html]\nscripts = 'remove'",
            "[html] scripts: invalid enum value 'remove'; choose from allow, disarm, strip",
        ),
        ("[parse]\nseconds = 30", "[parse] seconds = 30 is not below [parse] timeout_s = 20: lower it"),
        (
            "[parse]\ntimeout_s = 300",
            "[parse] timeout_s = 300 is longer than [milter] scan_timeout_s = 240: lower it",
        ),
        (
            "[parse]\nbytes = 2000000",
            "[parse] leaf_bytes = 104857600 is more than [parse] bytes = 2000000: lower it",
        ),
        ("[attachments]\nbanned_kinds = ['exe']", "[attachments] banned_kinds: 'exe' is no kind; "),
        (
            "[attachments]\nbanned_extensions = ['.exe']",
            "[attachments] banned_extensions: '.exe'; write it in lower case",
        ),
        (
            "[attachments]\nbanned_types = ['exe']",
            "[attachments] banned_types: 'exe'; write it in lower case like",
        ),
        (
            "[links]\nallowed = ['http://a.org']",
            "[links] allowed: 'http://a.org' is no host name; write it in",
        ),
        (
            "[[scanner]]\nname = 'a'\ncommand = ['a']",
            "[[scanner]] a command: 'a' is no absolute path; write it in full",
        ),
        (
            "[[scanner]]\nname = 'a'\ncommand = ['/a']\nclean = [0, 1]",
            "[[scanner]] a: exit code 1 is both clean and infected; take it away from one",
        ),
        (
            "[[scanner]]\nname = 'a'\ncommand = ['/a']\nsignature = '('",
            "[[scanner]] a signature is no regular",
        ),
        (
            "[[scanner]]\nname = 'a'\ncommand = ['/a']\nsignature = 'x'",
            "[[scanner]] a signature has no group",
        ),
        ("[[scanner]]\nname = 'a'\ncommand = ['/a']\n" * 2, "[[scanner]] a stands twice"),
        ("group = 3", "[group]: expected `array`, got `int`"),
    ],
)
def test_a_wrong_setting(text: str, said: str) -> None:
    assert refusal(text).startswith(said)


@pytest.mark.parametrize(
    "text",
    [
        "spam = ['copy', 'tag subject', 'move']",
        "spam = ['forward a.b+c@d-e.example']",
        "infected = ['notify admin recipient', 'clean', 'delete notice', 'discard']\n[notify]\nadmin = 'a@b.org'",
        "clean = ['archive', 'stamp a']\n[notify.stamps]\na = 'x'",
        "spam = ['notify sender', 'move']",
    ],
)
def test_a_right_chain(text: str) -> None:
    taken((CHAINS + text).encode(), "f.toml")


@pytest.mark.parametrize("kind", ACTIONS, ids=lambda kind: kind.name)
def test_each_action_is_taken_as_its_own_table_writes_it(kind: ActionKind) -> None:
    word = {"ADDRESS": "a@b.org", "NAME": "legal", "WHO…": "admin"}.get(kind.takes, kind.takes.strip("[]"))
    assert step(f"{kind.name} {word}".strip()).text == f"{kind.name} {word}".strip()


@given(st.text(max_size=40))
def test_whatever_is_taken_is_fit_for_an_smtp_command(text: str) -> None:
    if is_address(text):
        assert text.isascii()
        assert not set(text) & set(' <>\r\n\t\0"\\,;:')


@given(
    st.text(max_size=40)
    | st.sampled_from(NAMES).flatmap(lambda name: st.text(max_size=20).map(f"{name} ".__add__))
)
def test_any_step_is_taken_apart_or_refused(text: str) -> None:
    said = words(lambda: step(text), ValueError)
    assert ";" in said if said is not None else step(text).text == text


@given(st.text(alphabet="MonTueSat,- :0123456789", max_size=20))
def test_any_time_is_taken_or_refused(text: str) -> None:
    said = words(lambda: span(text), ValueError)
    assert said is None or "write" in said


@given(st.text(max_size=30), st.booleans())
def test_any_pattern_is_judged(text: str, sender: bool) -> None:  # noqa: FBT001 - Hypothesis gives it by place
    assert isinstance(pattern_problem(text, sender=sender), str)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_taken_or_refused_in_words(text: bytes) -> None:
    said = words(lambda: taken(text, "f.toml"), ConfigError)
    assert said is None or said.startswith("f.toml")


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.text(max_size=8), max_size=2)
)
names = st.sampled_from(
    ["name", "chains", "spam", "rules", "times", "stamps", "pattern", "where", "x", "command"]
)
tables = st.dictionaries(names, leaves | st.dictionaries(names, leaves, max_size=3), max_size=4)


@given(
    st.dictionaries(
        st.sampled_from(Config.__struct_fields__), tables | st.lists(tables, max_size=2) | leaves, max_size=4
    )
)
def test_any_shape_is_explained(shape: dict[str, object]) -> None:
    said = words(lambda: msgspec.convert(shape, Config), msgspec.ValidationError)
    assert said is None or "; " in explained(said, Config, shape)
