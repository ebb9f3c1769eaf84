"""Keeps secrets out of what a program prints, also where a chunk ends within one. Pure.

Two things are hidden: the secret parameters of the run, and whatever has the form of an API key
of ours, whoever's it is. Of parameters:

Masked are a secret as it was given, its form inside JSON, and each longer line of one that has
several. A program that prints it in another form (base64, backwards, letter by letter) cannot be
seen through: masking saves from accidents, it is no wall.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from techno.governance.key_text import KeyMask, hide_keys

MASK = b"***"
LINE_LEAST = 8


class Masker:
    """Replaces secrets in one stream of bytes that comes in pieces.

    ``feed`` returns what may be shown already; the end of a piece that could be the beginning of
    a secret is held back until more is known. ``finish`` returns the rest.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = forms_of(secrets)
        self._held = b""
        self._covered = 0  # so much of what is held is part of a secret that was masked already

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece and return what can be shown now."""
        if not self._secrets:
            return piece
        data = self._held + piece
        cut = min(_partial(data, secret) for secret in self._secrets)
        return self._release(data, cut)

    def finish(self, *, cut_short: bool = False) -> bytes:
        """Return what was held back; masked, when ``cut_short`` says that its end is missing."""
        data = self._held
        if not cut_short:
            shown = self._release(data, len(data))
        elif len(data) > self._covered:
            shown = MASK
        else:
            shown = b""
        self._held, self._covered = b"", 0
        return shown

    def _release(self, data: bytes, cut: int) -> bytes:
        """Return ``data`` up to ``cut`` with whole secrets masked, and hold the rest."""
        shown, position = [], self._covered
        for begin, end in self._found(data):
            if begin >= cut:
                break
            if begin >= position:
                shown += [data[position:begin], MASK]
            position = max(position, end)
        if position < cut:
            shown.append(data[position:cut])
        self._held, self._covered = data[cut:], max(0, position - cut)
        return b"".join(shown)

    def _found(self, data: bytes) -> list[tuple[int, int]]:
        """Where secrets stand, each place of each; they may overlap."""
        places = []
        for secret in self._secrets:
            begin = data.find(secret)
            while begin >= 0:
                places.append((begin, begin + len(secret)))
                begin = data.find(secret, begin + 1)
        return sorted(places, key=lambda place: (place[0], -place[1]))


class MaskedOutput:
    """Stands between the two streams of a run and whoever takes their pieces."""

    def __init__(self, secrets: Iterable[str], take: Callable[[str, bytes], None]) -> None:
        forms = tuple(secrets)
        self._take = take
        self._maskers = {stream: (Masker(forms), KeyMask()) for stream in ("stdout", "stderr")}

    def take(self, stream: str, piece: bytes) -> None:
        """Pass on what of the next piece can be shown."""
        secrets, keys = self._maskers[stream]
        self._pass_on(stream, keys.feed(secrets.feed(piece)))

    def finish(self, *, cut_short: bool) -> None:
        """Pass on the rest of both streams."""
        for stream, (secrets, keys) in self._maskers.items():
            rest = keys.feed(secrets.finish(cut_short=cut_short))
            self._pass_on(stream, rest + keys.finish(cut_short=cut_short))

    def _pass_on(self, stream: str, shown: bytes) -> None:
        if shown:
            self._take(stream, shown)


def mask_text(text: str, secrets: Iterable[str], *, cut_short: bool = False) -> str:
    """Return a whole text with secrets and keys masked."""
    text = hide_keys(text, cut_short=cut_short)
    forms = tuple(secrets)
    if not forms:
        return text
    masker = Masker(forms)
    shown = masker.feed(text.encode("utf-8", "surrogatepass"))
    shown += masker.finish(cut_short=cut_short)
    return shown.decode("utf-8", "surrogatepass")


def forms_of(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """Return every form in which secrets are looked for, none of them empty."""
    forms: dict[bytes, None] = {}
    for secret in secrets:
        lines = [line.strip() for line in secret.splitlines()] if "\n" in secret else []
        in_json = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
        for form in (secret, *in_json, *(line for line in lines if len(line) >= LINE_LEAST)):
            if form:
                forms[form.encode("utf-8", "surrogatepass")] = None
    return tuple(forms)


def _partial(data: bytes, secret: bytes) -> int:
    """Return where the longest end of ``data`` begins that is a mere beginning of ``secret``."""
    place = max(0, len(data) - len(secret) + 1)
    while (place := data.find(secret[:1], place)) >= 0:
        if secret.startswith(data[place:]):
            return place
        place += 1
    return len(data)
