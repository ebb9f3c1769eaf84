"""Regular expressions that can be matched in linear time, whatever the text. Pure.

Patterns are written by whoever writes an action, texts by whoever calls it: with backtracking,
one careless pattern would let a caller hold a thread for ever. So a pattern is read by Python's
own parser and run as a set of states, one step for each character. What has no such form is
refused when the action is saved: references, looking around, possessive repeats, flags.
Classes such as ``\\d`` mean ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

PATTERN_LIMIT = 500
STATES_MOST = 2_000

Accepts = Callable[[str], bool]
_CLASSES: dict[Any, str] = {
    op.CATEGORY_DIGIT: "[0-9]",
    op.CATEGORY_NOT_DIGIT: "[^0-9]",
    op.CATEGORY_SPACE: r"[ \t\n\r\f\v]",
    op.CATEGORY_NOT_SPACE: r"[^ \t\n\r\f\v]",
    op.CATEGORY_WORD: "[A-Za-z0-9_]",
    op.CATEGORY_NOT_WORD: "[^A-Za-z0-9_]",
}
_START, _END = (op.AT_BEGINNING, op.AT_BEGINNING_STRING), (op.AT_END, op.AT_END_STRING)
_REFUSED = {
    op.GROUPREF: "refers back to a group",
    op.GROUPREF_EXISTS: "refers back to a group",
    op.ASSERT: "looks ahead or behind",
    op.ASSERT_NOT: "looks ahead or behind",
    op.POSSESSIVE_REPEAT: "has a possessive repeat",
    op.ATOMIC_GROUP: "has an atomic group",
    op.AT: "has an anchor elsewhere than at its two ends",
}


class BadPattern(ValueError):
    """A text is no pattern that can be used; the message says why, as the rest of a sentence."""


class Pattern:
    """A compiled pattern: always matched against the whole text."""

    def __init__(self, text: str) -> None:
        """Read ``text``. Raises :class:`BadPattern`."""
        if len(text) > PATTERN_LIMIT:
            raise BadPattern(f"has more than {PATTERN_LIMIT} characters")
        self._accepts: list[Accepts | None] = [None]
        self._next: list[tuple[int, ...]] = [()]  # state 0 is the end
        try:
            parsed = _parser.parse(text, re.ASCII)
            if parsed.state.flags & ~re.ASCII:
                raise BadPattern("sets flags")
            self._start = self._sequence(_without_anchors(list(parsed)), 0)
        except (re.error, OverflowError, RecursionError) as error:
            raise BadPattern(f"is no regular expression: {error}") from error

    @property
    def size(self) -> int:
        """How many states there are: a character costs that many steps at the most."""
        return len(self._next)

    def matches(self, text: str) -> bool:
        """Whether the whole of ``text`` has the form."""
        states = self._closure([self._start])
        for character in text:
            reached = [
                follower
                for state in states
                if (accepts := self._accepts[state]) is not None and accepts(character)
                for follower in self._next[state]
            ]
            if not reached:
                return False
            states = self._closure(reached)
        return 0 in states

    def _closure(self, states: Iterable[int]) -> set[int]:
        """``states`` and all that are reached from them without a character."""
        found: set[int] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state not in found:
                found.add(state)
                if self._accepts[state] is None:
                    waiting += self._next[state]
        return found

    def _state(self, accepts: Accepts | None, *followers: int) -> int:
        if len(self._next) >= STATES_MOST:
            raise BadPattern("is too large: its repeats multiply")
        self._accepts.append(accepts)
        self._next.append(followers)
        return len(self._next) - 1

    def _sequence(self, items: list[Any], follower: int) -> int:
        for kind, content in reversed(items):
            follower = self._item(kind, content, follower)
        return follower

    def _item(self, kind: Any, content: Any, follower: int) -> int:
        if kind is op.SUBPATTERN:
            _, added, removed, inner = content
            if added or removed:
                raise BadPattern("sets flags")
            return self._sequence(list(inner), follower)
        if kind is op.BRANCH:
            return self._state(
                None, *(self._sequence(list(branch), follower) for branch in content[1])
            )
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            return self._repeat(content[0], content[1], content[2], follower)
        return self._state(_accepting(kind, content), follower)

    def _repeat(self, least: int, most: Any, inner: Any, follower: int) -> int:
        items = list(inner)
        if most is op.MAXREPEAT:
            loop = self._state(None, follower)
            self._next[loop] = (self._sequence(items, loop), follower)
            follower = loop
        else:
            end = follower
            for _ in range(most - least):
                follower = self._state(None, self._sequence(items, follower), end)
        for _ in range(least):
            follower = self._sequence(items, follower)
        return follower


@lru_cache(maxsize=512)
def compiled(text: str) -> Pattern:
    """Return the pattern that ``text`` writes. Raises :class:`BadPattern`."""
    return Pattern(text)


def _without_anchors(items: list[Any]) -> list[Any]:
    """A pattern is matched as a whole: anchors at its ends say nothing more."""
    if items and items[0][0] is op.AT and items[0][1] in _START:
        items = items[1:]
    if items and items[-1][0] is op.AT and items[-1][1] in _END:
        items = items[:-1]
    return items


def _accepting(kind: Any, content: Any) -> Accepts:
    """Return what tells whether one character fits one item of a pattern."""
    if kind is op.LITERAL:
        wanted = chr(content)
        return lambda character: character == wanted
    if kind is op.NOT_LITERAL:
        unwanted = chr(content)
        return lambda character: character != unwanted
    if kind is op.ANY:
        return lambda character: character != "\n"
    if kind is op.IN:
        return _one_of(content)
    raise BadPattern(_REFUSED.get(kind, "uses what is not supported"))


def _one_of(content: list[Any]) -> Accepts:
    negated = content[0][0] is op.NEGATE
    singles = frozenset(chr(value) for kind, value in content if kind is op.LITERAL)
    ranges = [(chr(low), chr(high)) for low, high in _values(content, op.RANGE)]
    classes = [re.compile(_CLASSES[value]) for value in _values(content, op.CATEGORY)]

    def accepts(character: str) -> bool:
        found = (
            character in singles
            or any(low <= character <= high for low, high in ranges)
            or any(each.fullmatch(character) is not None for each in classes)
        )
        return found is not negated

    return accepts


def _values(content: list[Any], wanted: Any) -> list[Any]:
    return [value for kind, value in content if kind is wanted]
