"""Passwords that a message gives away for its own attachments: likely ones first, few of them."""

import re
from collections.abc import Iterator
from typing import Final

from .harvest import Harvest

_MAX_LENGTH: Final = 64
# Words near which a password stands, in the languages of the mail that carries such archives.
_WORD: Final = re.compile(
    r"\b(?:pass\s?word[a-z]?|pass\s?code|pass\s?phrase|passwd|passwort\w*|pass|pwd|psw|pw|kennwort\w*|zugangscode|pin"
    r"|code|key|contrase[nñ]a|clave|mot\s+de\s+passe|mdp|senha|wachtwoord|l[oö]senord|has[lł]o|heslo|parola|jelsz[oó]"
    r"|пароль|пароля|şifre)"
    # Where nothing stands between words, these also stand within one.
    r"|密码|密碼|口令|パスワード|暗証番号|비밀번호|암호",
    re.IGNORECASE,
)
# Behind them comes a particle or a wide colon, then the password.
_LEAP: Final = re.compile(r"[^\x00-\x7f\n]{1,6}[ ]?([!-~]{3,64})")
_FILLER: Final = frozenset(
    {"is", "was", "are", "for", "to", "this", "that", "of", "und", "ist", "lautet", "das", "der", "die", "zum", "zur",
     "zip", "archive", "archiv", "file", "attachment", "attached", "open", "unlock", "es", "la", "el", "del", "para",
     "su", "est", "le", "du", "pour", "fichier", "in", "a", "an", "the", "use", "please", "enter", "following", "your"}
)  # fmt: skip
_TOKEN: Final = re.compile(r"[^\s]{1,100}")
# Straight and typographic quotes, and brackets.
_QUOTES: Final = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb\u201e<>"
_QUOTED: Final = re.compile(rf"[{_QUOTES}\[(]([^\s{_QUOTES}\[\]()]{{2,64}})[{_QUOTES}\])]")
# Within quotes behind a colon there may be blanks.
_PHRASE: Final = re.compile(rf"[^\n:=]{{0,60}}[:=]\s*[{_QUOTES}]([^\n{_QUOTES}]{{1,64}})[{_QUOTES}]")
_EDGES: Final = _QUOTES + "[](){}.,;:!?*_=-\u2013\u2014"
_MIXED: Final = re.compile(r"(?=.*\d)[^\s@/:]{4,24}")
_MIXED_TEXT: Final = 4000
_NEAR: Final = 160
_MAX_NAMES: Final = 4
_MAX_NEAR: Final = 2  # further away it is prose
_SEARCHED: Final = 1024 * 1024  # characters of text: some 0.2 s
# What analysts and the senders of samples use by custom.
_CUSTOMARY: Final = ("infected",)


def candidates(harvest: Harvest, most: int | None = None) -> list[str]:
    """Return the passwords to try on an archive or document, at most ``bounds.passwords``, likely ones first.

    ``most``: fewer still, where each of them takes long. Sets ``harvest.untried`` if there are others than these.
    """
    bound = harvest.budget.bounds.passwords
    most = bound if most is None else min(most, bound)
    # An archive may be called after its password.
    names = [name.rpartition(".")[0] for leaf in harvest.leaves[-_MAX_NAMES:] for name in leaf.names]
    words = (word for name in names for word in name.split())
    found = list(dict.fromkeys((*_of_texts(harvest, bound), *words)))
    room = max(most - len(_CUSTOMARY), 0)
    # Who has forbidden to try any knows that.
    harvest.untried = bool(most) and (
        len(set(found) - {*found[:room], *_CUSTOMARY}) > 0 or _length(harvest) > _SEARCHED
    )
    return list(dict.fromkeys((*found[:room], *_CUSTOMARY)))[:most]


def _of_texts(harvest: Harvest, most: int) -> list[str]:
    """Return the passwords that the texts give away, and one more than may be tried; worked out once for the same texts."""
    state = len(harvest.texts) + len(harvest.headers)
    if harvest.passwords[0] != state:
        texts, left = [], _SEARCHED
        for _, text in harvest.texts:
            texts.append(text[:left])
            left -= len(texts[-1])
        texts += [value for name, value in harvest.headers if name == "subject"]
        guesses = (
            guess for source in (_near_words, _quoted, _mixed) for text in texts for guess in source(text)
        )
        found: dict[str, None] = {}
        for guess in guesses:
            found[guess] = None
            if len(found) > most:
                break
        harvest.passwords = state, list(found)
    return harvest.passwords[1]


def _length(harvest: Harvest) -> int:
    return sum(len(text) for _, text in harvest.texts)


def _near_words(text: str) -> Iterator[str]:
    """Yield what follows a word for "password": first the tokens behind a colon, then the others close to it."""
    for word in _WORD.finditer(text):
        near = text[word.end() : word.end() + _NEAR]
        marked = re.match(r"[^\n:=]{0,60}[:=]\s*(\S+)", near)
        if marked:
            yield from _trimmed(marked[1])
        for pattern in (_PHRASE, _LEAP):
            if found := pattern.match(near):
                yield from _trimmed(found[1])
        taken = 0
        for token in _TOKEN.findall(near):
            bare = token.strip(_EDGES).lower()
            if bare in _FILLER or not bare:
                continue
            yield from _trimmed(token)
            taken += 1
            if taken == _MAX_NEAR:
                break


def _quoted(text: str) -> Iterator[str]:
    if _WORD.search(text):
        for match in _QUOTED.finditer(text):
            yield from _trimmed(match[1])


def _mixed(text: str) -> Iterator[str]:
    """Yield words of letters and digits, or digits alone: what a person calls a password without saying so."""
    for token in _TOKEN.findall(text[:_MIXED_TEXT]):
        bare = token.strip(_EDGES)
        if _MIXED.fullmatch(bare):
            yield bare


def _trimmed(token: str) -> Iterator[str]:
    """Yield a token without the punctuation around it, and as it stands: both may be meant."""
    bare = token.strip(_EDGES)
    for guess in (bare, token.strip(_QUOTES + ",."), token):
        if 0 < len(guess) <= _MAX_LENGTH:
            yield guess
