"""The text of a key: found when leaked, refused when altered, kept as a digest only."""

from __future__ import annotations

import hashlib
import hmac
import string
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from techno.access.key_format import (
    NO_DIGEST,
    TEXT_LIMIT,
    Pepper,
    digest_of,
    digests_of,
    made_with,
    make_key,
    matches,
    parse_key,
)
from techno.governance.key_text import checksum

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
#: A key recorded once: what it is must never change, for people hold such keys.
RECORDED = "techno_0a1B2c3D_" + "z" * 43 + checksum("techno_0a1B2c3D_" + "z" * 43)


def test_a_made_key_is_well_formed() -> None:
    made = [make_key() for _ in range(200)]
    assert len({key.text for key in made}) == len({key.prefix for key in made}) == 200
    for key in made:
        brand, prefix, rest = key.text.split("_")
        assert (brand, prefix, len(prefix), len(rest)) == ("techno", key.prefix, 8, 43 + 6)
        assert set(rest) <= set(ALPHABET)
        assert parse_key(key.text) == key


def test_all_256_bits_are_used() -> None:
    seen = set()
    for _ in range(300):
        body = make_key().text.split("_")[2][:43]
        value = 0
        for character in body:
            value = value * 62 + ALPHABET.index(character)
        seen |= {bit for bit in range(256) if value >> bit & 1}
        assert value < 1 << 256
    assert seen == set(range(256))


def test_the_checksum_is_that_of_the_published_form() -> None:
    value, digits = zlib.crc32(b"techno_0a1B2c3D_" + b"z" * 43), ""

    for _ in range(6):
        value, digit = divmod(value, 62)
        digits = ALPHABET[digit] + digits
    assert RECORDED.endswith(digits)
    parsed = parse_key(RECORDED)
    assert parsed is not None
    assert parsed.prefix == "0a1B2c3D"


@given(st.integers(0, 200), st.characters())
def test_one_altered_character_is_noticed(place: int, other: str) -> None:
    place %= len(RECORDED)
    altered = RECORDED[:place] + other + RECORDED[place + 1 :]
    if altered != RECORDED:
        assert parse_key(altered) is None


@given(st.text())
def test_any_other_text_is_no_key(text: str) -> None:
    assert parse_key(text) is None
    assert parse_key(RECORDED + text) is None or text == ""
    assert parse_key(text + RECORDED) is None or text == ""


@pytest.mark.parametrize("text", ["", RECORDED + "\n", " " + RECORDED, "x" * (TEXT_LIMIT + 1)])
def test_what_is_around_a_key_is_not_forgiven(text: str) -> None:
    assert parse_key(text) is None


def test_only_a_digest_is_kept() -> None:
    digest = digest_of(RECORDED)
    assert digest == "s1$" + hashlib.sha256(RECORDED.encode()).hexdigest()
    assert RECORDED not in digest
    assert matches(digests_of(RECORDED, ()), digest)
    assert not matches(digests_of(RECORDED[:-1], ()), digest)
    assert not matches(digests_of(RECORDED, ()), NO_DIGEST)


def test_a_digest_under_a_pepper_is_told_from_that_under_another() -> None:
    new, old = Pepper.of("n" * 40), Pepper.of("o" * 40)
    digest = digest_of(RECORDED, new)
    made = hmac.new(b"n" * 40, RECORDED.encode(), hashlib.sha256).hexdigest()
    assert digest == f"h1:{new.identity}${made}"
    assert made_with(digest) == f"h1:{new.identity}" != made_with(digest_of(RECORDED, old))
    assert made_with(digest_of(RECORDED)) == "s1"
    for kept in (digest, digest_of(RECORDED, old), digest_of(RECORDED)):
        assert matches(digests_of(RECORDED, (new, old)), kept)
    assert not matches(digests_of(RECORDED, (new,)), digest_of(RECORDED, old))
    assert len(digest) <= 80
    assert len(NO_DIGEST) == len(digest)
    for pepper in (new, old):
        assert pepper.secret.decode() not in repr(pepper)


def test_a_key_does_not_tell_its_secret_when_it_is_logged() -> None:
    key = make_key()
    assert key.text not in repr(key)
    assert key.text.split("_")[2] not in f"{key}"
