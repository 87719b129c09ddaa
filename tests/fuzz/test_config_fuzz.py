"""Random TOML as configuration: a Config or a ConfigError comes of it, nothing else."""

import json
import random
from collections.abc import Iterator

import msgspec

from filterd.config import Config, taken
from filterd.errors import ConfigError
from tests.fuzz.driver import SECONDS, hammer, rng
from tests.fuzz.mutation import mutated

_CURIOUS = (
    "", "x", "on", "off", "warn", "reject", "tempfail", "accept", "any", "in", "en", "/", "/x", "0660", "move", "delete",
    "clean", "notify admin", "notify sender", "forward a@b.example", "tag subject", "stamp a", "a@b.example", "10.0.0.0/8",
    "::/0", "10.0.0.0/99", "mon-fri 08:00-18:00", "(", "[a-", "content.x", "virus.infected", "\0", "\n", "é\u202e", "x" * 5000,
    "1", "default", "subject", "header:X", "low", "very_high", "{verdict}", "{", "%", "${X}", "*", "@", "*@b.example",
)  # fmt: skip


def _names(section: object) -> tuple[str, ...]:
    return getattr(type(section), "__struct_fields__", ())


_DEFAULT = Config()
_SECTIONS = _names(_DEFAULT)
_SETTINGS = tuple(sorted({name for section in _SECTIONS for name in _names(getattr(_DEFAULT, section))}))


def _value(generator: random.Random, depth: int = 0) -> str:
    """A TOML value."""
    match generator.randrange(9 if depth < 3 else 6):
        case 0:
            return str(generator.choice((0, 1, -1, 2**31, 2**63 - 1, generator.randrange(10_000))))
        case 1:
            return generator.choice(("0.0", "-1.5", "1e308", "inf", "nan", "20.0"))
        case 2:
            return generator.choice(("true", "false", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z"))
        case 3 | 4 | 5:
            return json.dumps(generator.choice(_CURIOUS))
        case 6 | 7:
            return f"[{', '.join(_value(generator, depth + 1) for _ in range(generator.randrange(5)))}]"
        case _:
            pairs = (
                f"{json.dumps(generator.choice((*_SETTINGS, *_CURIOUS)))} = {_value(generator, depth + 1)}"
                for _ in range(generator.randrange(4))
            )
            return f"{{{', '.join(pairs)}}}"


def _table(generator: random.Random) -> str:
    section = generator.choice(_SECTIONS)
    own = _names(getattr(_DEFAULT, section)) or _SETTINGS
    head = generator.choice((f"[{section}]", f"[[{section}]]", f"[{section}.{generator.choice(own)}]"))
    names = {generator.choice(own if generator.random() < 0.8 else (*_SETTINGS, "unknown")) for _ in range(4)}
    return "\n".join((head, *(f"{name} = {_value(generator)}" for name in sorted(names))))


def _written(value: object) -> str:
    """One default as TOML; "" for what TOML has no word for."""
    if isinstance(value, dict):
        pairs = ((json.dumps(str(name)), _written(one)) for name, one in value.items())
        return f"{{{', '.join(f'{name} = {one}' for name, one in pairs if one)}}}"
    if isinstance(value, list):
        return f"[{', '.join(filter(None, map(_written, value)))}]"
    return "" if value is None else json.dumps(value)


def _defaults() -> bytes:
    lines = []
    for section, content in msgspec.to_builtins(_DEFAULT).items():
        if isinstance(content, dict):
            lines.append(f"[{section}]")
            lines += [f"{name} = {text}" for name, value in content.items() if (text := _written(value))]
    return "\n".join(lines).encode()


def _cases() -> Iterator[bytes]:
    generator = rng("config")
    whole = _defaults()
    while True:
        text = "\n".join(_table(generator) for _ in range(generator.randrange(1, 4))).encode()
        yield generator.choice(
            (text, text, mutated(text, generator, (whole,)), mutated(whole, generator, (text,)))
        )


def _load(text: bytes) -> None:
    refused = ""
    try:
        config = taken(text, "fuzz.toml")
    except ConfigError as error:
        refused = str(error)
    else:
        # What the supervisor and the parse workers will do with it at once.
        assert config.workers > 0
        assert msgspec.json.encode(config.inspection)
    assert not refused or refused.startswith("fuzz.toml")
    assert "\n" not in refused


def test_the_defaults_are_taken() -> None:
    assert taken(_defaults(), "defaults.toml") == _DEFAULT


def test_random_configuration() -> None:
    assert hammer(_cases(), _load) > SECONDS
