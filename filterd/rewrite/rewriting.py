"""Makes all changes of an order to one message, or none of them."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from filterd.anatomy import Edit, HeaderEdit, RewriteOrder, Rewritten
from filterd.fields import changed

from . import stamp
from .outline import Entity, UnmappableError, outline
from .parts import MAKERS, Outcome, emptied

_ROOT: Final = "1"
# These take the whole part's place; nothing else that is to be done to it, or inside of it, matters then.
_DESTRUCTIVE: Final = frozenset({"remove", "warn", "notice"})


class _Splice(Struct, frozen=True):
    """Bytes ``start`` to ``end`` of the original become ``content``."""

    start: int
    end: int
    content: bytes


def rewrite(raw: bytes, order: RewriteOrder) -> tuple[Rewritten, bytes]:
    """Return what was done and the whole new message. ``raw``: RFC 5322 with CRLF behind each header line.

    When an edit cannot be made, ``failed`` numbers it and the message is returned as it came. A stamp that
    cannot be set fails nothing: ``stamped`` tells.
    """
    every = tuple(range(len(order.edits)))
    try:
        return _Job(raw, order, outline(raw)).done()
    except UnmappableError:
        return Rewritten(failed=every), raw


class _Job:
    def __init__(self, raw: bytes, order: RewriteOrder, entities: Mapping[str, Entity]) -> None:
        self._raw = raw
        self._order = order
        self._entities = entities
        self._splices: list[_Splice] = []
        self._outcomes: dict[str, Outcome] = {}
        self._failed: list[int] = []
        self._stamped = False

    def done(self) -> tuple[Rewritten, bytes]:
        """Make the changes and return the result."""
        root = self._entities[_ROOT]
        if not self._bordered(root):
            return Rewritten(failed=tuple(range(len(self._order.edits)))), self._raw
        removed = self._take_out()
        for number, edit in enumerate(self._order.edits):
            if edit.action != "remove" and not self._covered(number) and not self._edited(edit):
                self._failed.append(number)
        if self._failed:
            return Rewritten(failed=tuple(sorted(self._failed))), self._raw
        if self._order.stamp:
            self._stamp(root, removed)
        edits = self._splice_all()
        return self._joined(root, edits)

    def _bordered(self, root: Entity) -> bool:
        """Return whether the parser ends the header where the MTA did: at the first empty line."""
        at = 2 if self._raw.startswith(b"\r\n") else self._raw.find(b"\r\n\r\n") + 4
        return root.separated and root.body == at

    def _covered(self, number: int) -> bool:
        """Return whether another edit replaces the part of this one, or what is around it."""
        mine = self._order.edits[number]
        entity = self._entities.get(mine.part)
        if entity is None:
            return False
        for other, edit in enumerate(self._order.edits):
            if edit.action in _DESTRUCTIVE and edit.part in self._entities:
                if edit.part == mine.part and mine.action in _DESTRUCTIVE:
                    if other < number:
                        return True
                elif other != number and entity.within(edit.part):
                    return True
        return False

    def _take_out(self) -> list[Entity]:
        """Remove parts. Of a multipart of which nothing is left, the last part becomes an empty text."""
        removed: list[Entity] = []
        for number, edit in enumerate(self._order.edits):
            if edit.action != "remove" or self._covered(number):
                continue
            entity = self._entities.get(edit.part)
            if entity is None or entity.parent is None:
                self._failed.append(number)
            elif entity.is_message:
                # The message inside a message/rfc822: what is around it must hold one.
                self._outcomes[entity.path] = emptied(self._raw, entity)
            else:
                removed.append(entity)
        parents = {id(one.parent): one.parent for one in removed if one.parent}
        for parent in parents.values():
            self._take_from(parent, [one for one in parent.children if one in removed])
        return removed

    def _take_from(self, parent: Entity, gone: Sequence[Entity]) -> None:
        children = parent.children
        if len(gone) == len(children):
            if not children[-1].separated:
                raise UnmappableError(f"{children[-1].path} has no content")
            self._outcomes[children[-1].path] = emptied(self._raw, children[-1])
            gone = gone[:-1]
        last = len(children) - 1
        # The parts behind which none stays go with the line end before them: it belongs to their boundary.
        while last >= 0 and children[last] in gone:
            last -= 1
        for at, child in enumerate(children[: last + 1]):
            if child in gone:
                self._splices.append(_Splice(child.delimiter, children[at + 1].delimiter, b""))
        if last + 1 < len(children):
            begin = children[last + 1].delimiter
            begin -= 2 if self._raw[begin - 2 : begin] == b"\r\n" else 1
            self._splices.append(_Splice(begin, children[-1].end, b""))

    def _edited(self, edit: Edit) -> bool:
        """Note what becomes of the part; False when that cannot be done."""
        entity = self._entities.get(edit.part)
        if entity is None or not entity.separated:
            return False
        outcome = MAKERS[edit.action](self._raw, entity, edit, self._order)
        if outcome is None:
            return False
        before = self._outcomes.get(edit.part)
        if before is not None:
            # Of renaming and disarming each changes something else.
            outcome = Outcome(
                changes=(*before.changes, *outcome.changes),
                content=before.content if outcome.content is None else outcome.content,
                fresh=before.fresh or outcome.fresh,
            )
        self._outcomes[edit.part] = outcome
        return True

    def _stamp(self, root: Entity, removed: Sequence[Entity]) -> None:
        if stamp.protected(self._raw, self._entities):
            return
        destroyed = [edit.part for edit in self._order.edits if edit.action in _DESTRUCTIVE]
        for one in stamp.bodies(root):
            before = self._outcomes.get(one.path)
            if any(one.within(part) for part in destroyed) or one in removed or (before and before.changes):
                continue
            content = self._raw[one.body : one.end]
            if before is not None and before.content is not None:
                content = before.content
            outcome = stamp.stamped(content, one, self._order.stamp)
            if outcome is not None and one.separated:
                self._outcomes[one.path] = outcome
                self._stamped = True

    def _splice_all(self) -> tuple[HeaderEdit, ...]:
        """Turn outcomes into splices; the root's header is given as edits of its fields."""
        edits: tuple[HeaderEdit, ...] = ()
        for path, outcome in self._outcomes.items():
            one = self._entities[path]
            # The empty line stays.
            end = one.body - (2 if self._raw[one.body - 2 : one.body] == b"\r\n" else 1)
            header = b"" if outcome.fresh else self._raw[one.start : end]
            if outcome.changes:
                fresh, done = changed(header, outcome.changes)
                self._splices.append(_Splice(one.start, end, fresh))
                edits = done if path == _ROOT else edits
            if outcome.content is not None:
                self._splices.append(_Splice(one.body, one.end, outcome.content))
        return edits

    def _joined(self, root: Entity, edits: tuple[HeaderEdit, ...]) -> tuple[Rewritten, bytes]:
        pieces: list[bytes] = []
        at = 0
        body_offset = root.body
        for splice in sorted(self._splices, key=lambda one: (one.start, one.end)):
            if splice.start < at:
                # Two edits of the same bytes: a mistake of ours, never a message of theirs.
                return Rewritten(failed=tuple(range(len(self._order.edits)))), self._raw
            pieces += (self._raw[at : splice.start], splice.content)
            at = splice.end
            if splice.end < root.body:
                body_offset += len(splice.content) - (splice.end - splice.start)
        pieces.append(self._raw[at:])
        whole = b"".join(pieces) if self._splices else self._raw
        return Rewritten(headers=edits, body_offset=body_offset, stamped=self._stamped), whole
