"""Static tiles of the audit log, as c2sp.org/tlog-tiles lays them out for mirrors and witnesses.

A hash tile holds up to 256 hashes of the tree's level ``8 * tile level``; an entry bundle holds
the leaf data of up to 256 leaves. Both are files that never change once they are full; the last
one of each level is partial and named by its width.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audit.canonical import LEAF_LIMIT_BYTES
from audit.merkle import HASH_BYTES, SIZE_LIMIT, Coordinate

TILE_WIDTH = 256
TILE_HEIGHT = 8
LEVEL_LIMIT = 63

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<groups>(?:x[0-9]{3}/)*)(?P<last>[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class TileError(ValueError):
    """A path or the content of a tile that the format does not allow."""


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """Place of one tile; `level` None is an entry bundle. Raises TileError out of bounds."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        level = self.level or 0
        if not (0 <= level <= LEVEL_LIMIT and 1 <= self.width <= TILE_WIDTH):
            raise TileError(f"no tile has level {level} and width {self.width}")
        if not 0 <= self.index <= SIZE_LIMIT:
            raise TileError(f"no tile has index {self.index}")

    @classmethod
    def parse(cls, path: str) -> Tile:
        """Read what :attr:`path` writes, and nothing else."""
        match = _PATH.fullmatch(path)
        if not match:
            raise TileError(f"{path!r} is not the path of a tile")
        level = None if match["level"] == "entries" else int(match["level"])
        index = int((match["groups"] + match["last"]).replace("x", "").replace("/", ""))
        tile = cls(level, index, int(match["width"] or TILE_WIDTH))
        if tile.path != path:  # a leading group of zeros, or the width of a full tile
            raise TileError(f"{path!r} is not how tile {tile.path} is written")
        return tile

    @property
    def path(self) -> str:
        """Path below the log's prefix: ``tile/0/x001/x234/067``, ``tile/entries/000.p/5``."""
        groups = f"{self.index:03d}"
        groups = groups.zfill(-(-len(groups) // 3) * 3)
        parts = [groups[i : i + 3] for i in range(0, len(groups), 3)]
        index = "/".join([f"x{part}" for part in parts[:-1]] + parts[-1:])
        level = "entries" if self.level is None else self.level
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{index}{partial}"

    def coordinates(self) -> list[Coordinate]:
        """The tree nodes whose hashes, one after another, are the hash tile."""
        if self.level is None:
            raise TileError("an entry bundle has no hashes")
        level, first = TILE_HEIGHT * self.level, TILE_WIDTH * self.index
        return [(level, first + i) for i in range(self.width)]

    def leaves(self) -> range:
        """Indexes of the leaves whose data an entry bundle holds."""
        if self.level is not None:
            raise TileError("a hash tile has no entries")
        return range(TILE_WIDTH * self.index, TILE_WIDTH * self.index + self.width)


def tiles_between(old_size: int, new_size: int) -> Iterator[Tile]:
    """Tiles to write when the tree grows: all that are new or wider than at `old_size`.

    Hash tiles level by level, then entry bundles; from ``old_size`` 0 it is the whole tree.
    """
    if not 0 <= old_size <= new_size <= SIZE_LIMIT:
        raise TileError(f"a tree of {new_size} leaves does not extend one of {old_size}")
    level = 0
    while new_size >> (TILE_HEIGHT * level):
        shift = TILE_HEIGHT * level
        yield from _row_of_tiles(level, old_size >> shift, new_size >> shift)
        level += 1
    yield from _row_of_tiles(None, old_size, new_size)


def _row_of_tiles(level: int | None, begin: int, end: int) -> Iterator[Tile]:
    if begin == end:
        return
    for index in range(begin // TILE_WIDTH, -(-end // TILE_WIDTH)):
        yield Tile(level, index, min(TILE_WIDTH, end - index * TILE_WIDTH))


def encode_hashes(hashes: Sequence[bytes]) -> bytes:
    """Content of a hash tile."""
    if any(len(value) != HASH_BYTES for value in hashes):
        raise TileError("a hash is not 32 bytes long")
    return b"".join(hashes)


def decode_hashes(data: bytes, width: int) -> list[bytes]:
    """Hashes of a hash tile; TileError unless it is exactly `width` wide."""
    if len(data) != width * HASH_BYTES:
        raise TileError(f"a tile of width {width} has not {len(data)} bytes")
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """Content of an entry bundle: every leaf's data behind its length in two bytes."""
    if any(len(entry) > LEAF_LIMIT_BYTES for entry in entries):
        raise TileError(f"an entry is longer than {LEAF_LIMIT_BYTES} bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_entries(data: bytes, width: int) -> list[bytes]:
    """Leaf data of an entry bundle; TileError unless it holds exactly `width` entries."""
    entries, position = [], 0
    while position < len(data):
        begin = position + 2
        position = begin + int.from_bytes(data[position:begin], "big")
        if begin > len(data) or position > len(data):
            raise TileError("an entry bundle ends inside an entry")
        entries.append(data[begin:position])
    if len(entries) != width:
        raise TileError(f"{len(entries)} entries instead of {width}")
    return entries
