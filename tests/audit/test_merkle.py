"""The Merkle tree against RFC 6962's vectors, its recursive definitions, and pymerkle."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from audit.merkle import (
    EMPTY_ROOT,
    SIZE_LIMIT,
    Coordinate,
    Frontier,
    MissingNodeError,
    ProofError,
    consistency_plan,
    frontier_at,
    frontier_coordinates,
    inclusion_plan,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root_at,
    span_coordinates,
    verify_consistency,
    verify_inclusion,
)
from tests.audit.format_document import vector
from tests.audit.sample_tree import RFC_LEAVES, RFC_ROOTS, Store, distinct_leaves

unhurried = settings(deadline=None)  # a loaded machine is no failure


def defined_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162 2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = defined_split(len(leaves))
    return sha256(b"\x01" + defined_root(leaves[:k]) + defined_root(leaves[k:])).digest()


def defined_split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def defined_path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 9162 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = defined_split(len(leaves))
    if m < k:
        return [*defined_path(m, leaves[:k]), defined_root(leaves[k:])]
    return [*defined_path(m - k, leaves[k:]), defined_root(leaves[:k])]


def defined_proof(m: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """RFC 9162 2.1.4.1, SUBPROOF."""
    if m == len(leaves):
        return [] if whole else [defined_root(leaves)]
    k = defined_split(len(leaves))
    if m <= k:
        return [*defined_proof(m, leaves[:k], whole), defined_root(leaves[k:])]
    return [*defined_proof(m - k, leaves[k:], False), defined_root(leaves[:k])]


@pytest.fixture(scope="module")
def rfc_store() -> Store:
    return Store(RFC_LEAVES)


@pytest.mark.parametrize("size", range(9))
def test_roots_of_the_rfc_vectors(size: int, rfc_store: Store) -> None:
    frontier = Frontier()
    for leaf in RFC_LEAVES[:size]:
        frontier.append(leaf_hash(leaf))
    assert frontier.root() == RFC_ROOTS[size] == root_at(size, rfc_store)


def test_the_documented_roots_are_these() -> None:
    lines = vector("tree-roots").splitlines()
    assert lines == [f"{size} {root.hex()}" for size, root in enumerate(RFC_ROOTS)]


def test_inclusion_of_leaf_0_in_8_is_the_known_path(rfc_store: Store) -> None:
    path = [value.hex() for value in prove_inclusion(0, 8, rfc_store)]
    assert [text[:8] for text in path] == ["96a296d2", "5f083f0a", "6b47aaf2"]
    assert path == vector("inclusion-0-8").split()


def test_consistency_of_3_and_7_is_the_documented_path(rfc_store: Store) -> None:
    path = [value.hex() for value in prove_consistency(3, 7, rfc_store)]
    assert path == vector("consistency-3-7").split()


def test_every_proof_up_to_33_leaves_is_the_defined_one_and_verifies() -> None:
    leaves = distinct_leaves(33)
    store = Store(leaves)
    roots = [defined_root(leaves[:n]) for n in range(34)]
    for size in range(1, 34):
        assert root_at(size, store) == roots[size]
        for index in range(size):
            path = prove_inclusion(index, size, store)
            assert path == defined_path(index, leaves[:size])
            verify_inclusion(leaf_hash(leaves[index]), index, size, path, roots[size])
        for old in range(1, size + 1):
            proof = prove_consistency(old, size, store)
            assert proof == defined_proof(old, leaves[:size])
            verify_consistency(old, size, proof, roots[old], roots[size])


@unhurried
@given(st.data())
def test_proofs_agree_with_pymerkle(data: st.DataObject) -> None:
    leaves = data.draw(st.lists(st.binary(max_size=20), min_size=1, max_size=200))
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    store, other = Store(leaves), InmemoryTree(algorithm="sha256")
    other.append_entries(leaves)

    assert root_at(size, store) == other.get_root(size)
    inclusion = other.prove_inclusion(index + 1, size)
    assert prove_inclusion(index, size, store) == inclusion.path[1:]
    inclusion.verify(leaf_hash(leaves[index]), root_at(size, store))
    consistency = other.prove_consistency(old, size)
    consistency.verify(root_at(old, store), root_at(size, store))
    own = prove_consistency(old, size, store)
    verify_consistency(old, size, own, other.get_root(old), other.get_root(size))


@unhurried
@given(st.integers(0, 300), st.lists(st.integers(0, 70), max_size=8))
def test_bulk_growth_equals_single_steps(start: int, batches: list[int]) -> None:
    leaves = iter(leaf_hash(leaf) for leaf in distinct_leaves(start + sum(batches)))
    bulk, single = Frontier(), Frontier()
    nodes: dict[Coordinate, bytes] = {}
    for batch in [start, *batches]:
        hashes = [next(leaves) for _ in range(batch)]
        for run in bulk.extend(hashes):
            for i, value in enumerate(run.hashes):
                assert (run.level, run.first + i) not in nodes
                nodes[run.level, run.first + i] = value
        for value in hashes:
            single.append(value)
        assert (bulk.size, bulk.nodes, bulk.root()) == (single.size, single.nodes, single.root())
    size = bulk.size
    assert nodes.keys() == {(n, i) for n in range(size.bit_length()) for i in range(size >> n)}
    assert all(
        value == node_hash(nodes[level - 1, 2 * i], nodes[level - 1, 2 * i + 1])
        for (level, i), value in nodes.items()
        if level
    )


@unhurried
@given(st.integers(0, 200))
def test_a_frontier_is_taken_up_where_it_was_left(size: int) -> None:
    store = Store(distinct_leaves(size))
    original = Frontier()
    original.extend([leaf_hash(leaf) for leaf in distinct_leaves(size)])
    restored = Frontier(original.size, original.nodes)
    assert frontier_at(size, store).nodes == restored.nodes
    for frontier in (original, restored):
        frontier.append(leaf_hash(b"one more"))
    assert original.root() == restored.root()


@pytest.mark.parametrize(
    ("size", "nodes"),
    [(1, []), (3, [EMPTY_ROOT]), (0, [EMPTY_ROOT]), (1, [b"short"]), (-1, []), (2**63, [b""])],
)
def test_a_frontier_that_cannot_be_is_refused(size: int, nodes: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"frontier|tree size"):
        Frontier(size, nodes)


@unhurried
@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_span_covers_its_leaves_exactly_and_shortly(begin: int, width: int) -> None:
    position = begin
    span = span_coordinates(begin, begin + width)
    for level, index in span:
        assert index << level == position
        position = (index + 1) << level
    assert position == begin + width
    assert len(span) <= 2 * max(1, width).bit_length()


def test_proofs_at_ten_million_leaves_read_few_nodes() -> None:
    size = 10_000_019
    for index in (0, 1, 4_999_999, size - 1):
        assert sum(map(len, inclusion_plan(index, size))) <= 2 * size.bit_length()
    for old in (1, 2**23, 9_999_999, size - 1):
        assert sum(map(len, consistency_plan(old, size))) <= 2 * size.bit_length()
    assert len(frontier_coordinates(size)) == size.bit_count()


def test_a_proof_asks_its_source_once() -> None:
    calls: list[Sequence[Coordinate]] = []
    store = Store(distinct_leaves(100))

    def source(wanted: Sequence[Coordinate]) -> dict[Coordinate, bytes]:
        calls.append(wanted)
        return store(wanted)

    prove_inclusion(37, 99, source)
    prove_consistency(37, 99, source)
    assert len(calls) == 2
    prove_consistency(0, 99, source)
    prove_consistency(99, 99, source)
    assert len(calls) == 2  # nothing to read, nothing asked


def test_a_missing_node_is_named() -> None:
    with pytest.raises(MissingNodeError, match=r"\(0, 2\)"):
        prove_inclusion(3, 4, lambda wanted: {c: EMPTY_ROOT for c in wanted if c != (0, 2)})


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_no_plan_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_plan(index, size)
    with pytest.raises(ProofError, match="no leaf"):
        verify_inclusion(EMPTY_ROOT, index, size, [], EMPTY_ROOT)


@pytest.mark.parametrize(("old", "new"), [(6, 5), (-1, 5)])
def test_no_plan_for_a_tree_that_shrinks(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="does not extend"):
        consistency_plan(old, new)
    with pytest.raises(ProofError, match="does not extend"):
        verify_consistency(old, new, [], EMPTY_ROOT, EMPTY_ROOT)


def test_sizes_beyond_the_limit_are_refused() -> None:
    with pytest.raises(ProofError):
        verify_inclusion(EMPTY_ROOT, 0, SIZE_LIMIT + 1, [EMPTY_ROOT] * 64, EMPTY_ROOT)
    with pytest.raises(ValueError, match="tree size"):
        span_coordinates(0, SIZE_LIMIT + 1)


def test_the_empty_tree_and_equal_sizes(rfc_store: Store) -> None:
    verify_consistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)
    verify_consistency(0, 8, [], EMPTY_ROOT, RFC_ROOTS[8])
    verify_consistency(8, 8, [], RFC_ROOTS[8], RFC_ROOTS[8])
    with pytest.raises(ProofError, match="must be empty"):
        verify_consistency(0, 8, [RFC_ROOTS[8]], EMPTY_ROOT, RFC_ROOTS[8])
    with pytest.raises(ProofError, match="must be empty"):
        verify_consistency(8, 8, [RFC_ROOTS[8]], RFC_ROOTS[8], RFC_ROOTS[8])
    with pytest.raises(ProofError, match="two roots"):
        verify_consistency(7, 7, [], RFC_ROOTS[7], RFC_ROOTS[8])
    with pytest.raises(ProofError, match="without leaves"):
        verify_consistency(0, 8, [], RFC_ROOTS[1], RFC_ROOTS[8])


@unhurried
@given(st.data())
def test_no_altered_inclusion_proof_passes(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    leaves = distinct_leaves(size)
    store = Store(leaves)
    leaf, root, path = (
        leaf_hash(leaves[index]),
        root_at(size, store),
        prove_inclusion(index, size, store),
    )
    altered = data.draw(alterations(path))
    with pytest.raises(ProofError):
        verify_inclusion(leaf, index, size, altered, root)
    with pytest.raises(ProofError):
        verify_inclusion(flip(leaf), index, size, path, root)
    with pytest.raises(ProofError):
        verify_inclusion(leaf, index, size, path, flip(root))
    other = data.draw(st.integers(0, size))
    if other != index:
        with pytest.raises(ProofError):
            verify_inclusion(leaf, other, size, path, root)


@unhurried
@given(st.data())
def test_no_altered_consistency_proof_passes(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, 70))
    old = data.draw(st.integers(1, new - 1))
    store = Store(distinct_leaves(new))
    roots = root_at(old, store), root_at(new, store)
    proof = prove_consistency(old, new, store)
    with pytest.raises(ProofError):
        verify_consistency(old, new, data.draw(alterations(proof)), *roots)
    with pytest.raises(ProofError):
        verify_consistency(old, new, proof, flip(roots[0]), roots[1])
    with pytest.raises(ProofError):
        verify_consistency(old, new, proof, roots[0], flip(roots[1]))


def flip(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


@st.composite
def alterations(draw: st.DrawFn, hashes: list[bytes]) -> list[bytes]:
    """The list with one hash changed, removed, added, shortened, or two exchanged."""
    altered = list(hashes)
    kind = draw(st.sampled_from(["change", "remove", "shorten", "swap"] if hashes else ["add"]))
    at = draw(st.integers(0, max(0, len(hashes) - 1)))
    if kind == "change":
        altered[at] = flip(altered[at])
    elif kind == "remove":
        del altered[at]
    elif kind == "shorten":
        altered[at] = altered[at][:-1]
    elif kind == "swap" and len(set(hashes)) > 1 and hashes[at] != hashes[at - 1]:
        altered[at], altered[at - 1] = altered[at - 1], altered[at]
    else:
        altered.insert(at, draw(st.binary(min_size=32, max_size=32)))
    return altered
