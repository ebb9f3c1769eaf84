"""The Merkle tree of RFC 6962 / RFC 9162 over SHA-256, without any storage of its own.

A *node* is a complete subtree, named by its coordinate ``(level, index)``: it covers the leaves
``[index * 2**level, (index + 1) * 2**level)``, so a leaf hash is a node of level 0. Nodes never
change once they are complete, which is why only they are worth storing. Everything a proof needs
is a node, or a fold of at most O(log n) nodes along the right edge of the tree; a *plan* says
which, so that a store of nodes can answer any proof with one read of O(log n) rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32
SIZE_LIMIT = 2**63 - 1
"""Largest tree size: what PostgreSQL's bigint and the cosignature format can hold."""

EMPTY_ROOT = sha256(b"").digest()

Coordinate = tuple[int, int]
Span = tuple[Coordinate, ...]
"""Nodes whose leaves adjoin, from left to right; their right-to-left fold is one subtree hash."""

NodeSource = Callable[[Sequence[Coordinate]], Mapping[Coordinate, bytes]]
"""Reads nodes from wherever they are stored. Called once per proof with every node it needs."""


class ProofError(ValueError):
    """A proof does not prove what it claims."""


class MissingNodeError(LookupError):
    """The node source did not give a node that a complete tree of this size must have."""


class NodeRun(NamedTuple):
    """Neighbouring nodes of one level: ``hashes[i]`` has the coordinate ``(level, first + i)``."""

    level: int
    first: int
    hashes: list[bytes]


def leaf_hash(data: bytes) -> bytes:
    """Hash of one leaf's data."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of the subtree whose two halves hash to `left` and `right`."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root over adjoining complete subtrees of falling size, or the empty root when there is none.

    Folding from the right gives exactly RFC 9162's split at the largest power of two.
    """
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


class Frontier:
    """The complete subtrees along the right edge of a tree: all that is needed to append to it.

    One hash per set bit of `size`, the largest subtree first. Serialise it as `size` and `nodes`.
    """

    __slots__ = ("_nodes", "_size")

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        """Take up a tree where it was left; `nodes` as given by :attr:`nodes` at that `size`.

        Raises ValueError when the number or the length of the hashes cannot belong to `size`.
        """
        _check_size(size)
        self._nodes = list(nodes)
        self._size = size
        if len(self._nodes) != size.bit_count() or any(len(h) != HASH_BYTES for h in self._nodes):
            raise ValueError(f"{len(self._nodes)} nodes are not the frontier of {size} leaves")

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    @property
    def nodes(self) -> tuple[bytes, ...]:
        """Hashes of the subtrees at :func:`frontier_coordinates` of `size`."""
        return tuple(self._nodes)

    def root(self) -> bytes:
        """Root of the tree as it now is."""
        return fold(self._nodes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        carry = self._size
        while carry & 1:
            leaf = node_hash(self._nodes.pop(), leaf)
            carry >>= 1
        self._nodes.append(leaf)
        self._size += 1

    def extend(self, leaves: Sequence[bytes]) -> list[NodeRun]:
        """Add many leaf hashes; return every node that became complete, the leaves included.

        Works level by level over plain lists, for sealing tens of thousands of leaves at once.
        """
        runs: list[NodeRun] = []
        begin, end, hashes = self._size, self._size + len(leaves), list(leaves)
        _check_size(end)
        before = dict(zip(frontier_coordinates(begin), self._nodes, strict=True))
        edge: list[bytes] = []
        level = 0
        while hashes:
            runs.append(NodeRun(level, begin, hashes))
            # An odd begin has its left sibling on the old edge; an odd end leaves one on the new.
            paired = [before.pop((level, begin - 1)), *hashes] if begin & 1 else hashes
            if end & 1:
                edge.append(paired[-1])
            hashes = [
                sha256(b"\x01" + left + right).digest()
                for left, right in zip(paired[0::2], paired[1::2], strict=False)
            ]
            begin, end, level = begin >> 1, end >> 1, level + 1
        self._nodes = [*before.values(), *reversed(edge)]
        self._size += len(leaves)
        return runs


def span_coordinates(begin: int, end: int) -> Span:
    """The fewest nodes that together cover exactly the leaves ``[begin, end)``, left to right."""
    if not 0 <= begin <= end:
        raise ValueError(f"[{begin}, {end}) is not a span of leaves")
    _check_size(end)
    span: list[Coordinate] = []
    while begin < end:
        aligned = (begin & -begin).bit_length() - 1 if begin else SIZE_LIMIT.bit_length()
        level = min(aligned, (end - begin).bit_length() - 1)
        span.append((level, begin >> level))
        begin += 1 << level
    return tuple(span)


def frontier_coordinates(size: int) -> Span:
    """Coordinates of :attr:`Frontier.nodes` for a tree of `size` leaves."""
    return span_coordinates(0, size)


def inclusion_plan(index: int, size: int) -> list[Span]:
    """What the inclusion proof of leaf `index` in `size` leaves is made of, its sibling first.

    Each span folds to one hash of the proof. Raises ValueError when there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    plan: list[Span] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _left_width(end - begin)
        if index < middle:
            plan.append(span_coordinates(middle, end))
            end = middle
        else:
            plan.append(span_coordinates(begin, middle))
            begin = middle
    return plan[::-1]


def consistency_plan(old: int, new: int) -> list[Span]:
    """What the proof is made of that a tree of `new` leaves extends its own first `old` leaves.

    Empty for ``old == 0`` (everything extends nothing) and for ``old == new``.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves does not extend one of {old}")
    if old in (0, new):
        return []
    plan: list[Span] = []
    begin, end = 0, new
    while end != old:
        middle = begin + _left_width(end - begin)
        if old <= middle:
            plan.append(span_coordinates(middle, end))
            end = middle
        else:
            plan.append(span_coordinates(begin, middle))
            begin = middle
    if begin:  # otherwise the old tree is itself a node, and its verifier knows that hash
        plan.append(span_coordinates(begin, end))
    return plan[::-1]


def resolve(plan: Sequence[Span], source: NodeSource) -> list[bytes]:
    """Turn a plan into hashes with a single call of `source`.

    Raises MissingNodeError when the source lacks one of them.
    """
    wanted = [coordinate for span in plan for coordinate in span]
    nodes = source(wanted) if wanted else {}
    try:
        return [fold([nodes[coordinate] for coordinate in span]) for span in plan]
    except KeyError as missing:
        raise MissingNodeError(f"node (level, index) {missing.args[0]} is not stored") from None


def prove_inclusion(index: int, size: int, source: NodeSource) -> list[bytes]:
    """Inclusion proof of leaf `index` in the tree of the first `size` leaves (RFC 9162 2.1.3.1)."""
    return resolve(inclusion_plan(index, size), source)


def prove_consistency(old: int, new: int, source: NodeSource) -> list[bytes]:
    """Consistency proof between the trees of `old` and `new` leaves (RFC 9162 2.1.4.1)."""
    return resolve(consistency_plan(old, new), source)


def root_at(size: int, source: NodeSource) -> bytes:
    """Root of the tree of the first `size` leaves."""
    return resolve([frontier_coordinates(size)], source)[0]


def frontier_at(size: int, source: NodeSource) -> Frontier:
    """The frontier of the first `size` leaves, to go on appending from there."""
    return Frontier(size, resolve([(node,) for node in frontier_coordinates(size)], source))


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that the leaf hash stands at `index` of the tree with this size and root.

    Follows RFC 9162 2.1.3.2. Returns nothing; raises ProofError for every other outcome, so that
    a forgotten look at a result cannot pass for success.
    """
    if not 0 <= index < size <= SIZE_LIMIT:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    _check_hashes(leaf, root, *proof)
    position, last, running = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if position & 1 or position == last:
            running = node_hash(sibling, running)
            position, last = _climb_past_right_edge(position, last)
        else:
            running = node_hash(running, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofError("the inclusion proof is too short")
    if running != root:
        raise ProofError("the inclusion proof leads to another root")


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Check that the tree of size `new` extends the tree of size `old` (RFC 9162 2.1.4.2).

    From size 0 and between equal sizes only the empty proof is right. Raises ProofError.
    """
    if not 0 <= old <= new <= SIZE_LIMIT:
        raise ProofError(f"a tree of {new} leaves does not extend one of {old}")
    _check_hashes(old_root, new_root, *proof)
    for size, root in ((old, old_root), (new, new_root)):
        if size == 0 and root != EMPTY_ROOT:
            raise ProofError("a tree without leaves has another root")
    if old in (0, new):
        if proof:
            raise ProofError("from size 0 and between equal sizes the proof must be empty")
        if old == new and old_root != new_root:
            raise ProofError("two roots at one size")
        return
    _walk_consistency(old, new, proof, old_root, new_root)


def _walk_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    # When the old tree is one complete subtree, the proof leaves its root out.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise ProofError("the consistency proof is too short")
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_running = new_running = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if position & 1 or position == last:
            old_running = node_hash(sibling, old_running)
            new_running = node_hash(sibling, new_running)
            position, last = _climb_past_right_edge(position, last)
        else:
            new_running = node_hash(new_running, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofError("the consistency proof is too short")
    if old_running != old_root:
        raise ProofError("the consistency proof leads to another old root")
    if new_running != new_root:
        raise ProofError("the consistency proof leads to another new root")


def _climb_past_right_edge(position: int, last: int) -> tuple[int, int]:
    """Skip the levels on which the rightmost subtree has no sibling."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _left_width(leaves: int) -> int:
    """Largest power of two smaller than `leaves` (which is at least 2)."""
    return 1 << ((leaves - 1).bit_length() - 1)


def _check_size(size: int) -> None:
    if not 0 <= size <= SIZE_LIMIT:
        raise ValueError(f"{size} is not a tree size")


def _check_hashes(*hashes: bytes) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise ProofError("a hash is not 32 bytes long")
