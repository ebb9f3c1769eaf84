"""Strict JSON: what it takes is what the standard module takes, less all that is ambiguous."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from techno.web.exceptions import Refused
from techno.web.parser import parse_json, read_body

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",))), inner
    ),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_refused(body: bytes) -> None:
    try:
        expected = json.loads(body.decode(), parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        with pytest.raises(ParseError, match=r"\.$"):
            parse_json(body)
    else:
        assert parse_json(body) == expected


@pytest.mark.parametrize(
    "body",
    [b'{"a":1,"a":2}', b'[{"a":{"b":1,"b":1}}]', b'{"a":1,"\\u0061":2}', b"[NaN]", b"[-Infinity]"],
)
def test_what_is_ambiguous_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        parse_json(body)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [7_000, 100_000])
def test_depth_is_refused_and_does_no_harm(opening: bytes, depth: int) -> None:
    with pytest.raises(ParseError):
        parse_json(opening * depth)


class _Trickle(io.BytesIO):
    """A stream that gives a little at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 7))


def asked(body: bytes, **meta: str) -> SimpleNamespace:
    return SimpleNamespace(META={"wsgi.input": _Trickle(body), **meta})


@given(st.binary(max_size=100))
def test_a_body_arrives_whole_in_whatever_pieces(body: bytes) -> None:
    assert read_body(asked(body, CONTENT_LENGTH=str(len(body)))) == body
    assert read_body(asked(body, HTTP_TRANSFER_ENCODING="chunked")) == body
    assert read_body(asked(body + b"more", CONTENT_LENGTH=str(len(body)))) == body


def test_a_body_that_ends_early_is_refused() -> None:
    with pytest.raises(ParseError, match="shorter"):
        read_body(asked(b"{}", CONTENT_LENGTH="3"))


@pytest.mark.parametrize(
    "meta", [{"CONTENT_LENGTH": "65537"}, {"HTTP_TRANSFER_ENCODING": "Chunked"}]
)
def test_a_body_over_the_limit_is_refused(meta: dict[str, str]) -> None:
    request = asked(b"x" * 70_000, **meta)
    with pytest.raises(Refused) as refusal:
        read_body(request)
    assert refusal.value.verdict.http_status == 413
    assert request.META["wsgi.input"].tell() <= 65_537  # never read to its end


def test_no_body_is_empty() -> None:
    assert read_body(asked(b"")) == b""
