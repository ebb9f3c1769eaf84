"""Tile paths and contents, and the tree rebuilt from tiles alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.canonical import LEAF_LIMIT_BYTES
from audit.merkle import Coordinate, Frontier, leaf_hash, root_at
from audit.tiles import (
    TILE_WIDTH,
    Tile,
    TileError,
    decode_entries,
    decode_hashes,
    encode_entries,
    encode_hashes,
    tiles_between,
)
from tests.audit.sample_tree import Store, distinct_leaves

unhurried = settings(deadline=None)  # a loaded machine is no failure


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 999), "tile/0/999"),
        (Tile(0, 1000), "tile/0/x001/000"),
        (Tile(3, 1234067), "tile/3/x001/x234/067"),
        (Tile(63, 5, 1), "tile/63/005.p/1"),
        (Tile(None, 1234067, 255), "tile/entries/x001/x234/067.p/255"),
        (Tile(1, 10**9), "tile/1/x001/x000/x000/000"),
    ],
)
def test_paths(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert Tile.parse(path) == tile


@unhurried
@given(st.none() | st.integers(0, 63), st.integers(0, 2**63 - 1), st.integers(1, TILE_WIDTH))
def test_paths_survive(level: int | None, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert Tile.parse(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/001",
        "tile/0/x001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/001.p/",
        "tile/0/001\n",
        "/tile/0/001",
        "tile/0/001/../002",
        "tile/data/001",
        "tile/0/\u0660\u0660\u0661",
        "tile/0/" + "x999/" * 20 + "999",
    ],
)
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(TileError):
        Tile.parse(path)


@pytest.mark.parametrize(
    ("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)]
)
def test_tiles_out_of_bounds_are_refused(level: int, index: int, width: int) -> None:
    with pytest.raises(TileError):
        Tile(level, index, width)


def test_the_tree_of_70000_leaves_has_the_tiles_the_specification_counts() -> None:
    tiles = list(tiles_between(0, 70_000))
    hash_tiles = [tile for tile in tiles if tile.level is not None]
    assert sum(tile.level == 0 and tile.width == 256 for tile in tiles) == 273
    assert [tile for tile in hash_tiles if tile.width < 256] == [
        Tile(0, 273, 112),
        Tile(1, 1, 17),
        Tile(2, 0, 1),
    ]
    assert sum(tile.level == 1 and tile.width == 256 for tile in tiles) == 1
    assert [tile for tile in tiles if tile.level is None][-1] == Tile(None, 273, 112)


def test_256_leaves_are_a_full_tile_and_one_hash_above() -> None:
    assert list(tiles_between(0, 256)) == [Tile(0, 0), Tile(1, 0, 1), Tile(None, 0)]


@unhurried
@given(st.integers(0, 1500), st.integers(0, 1500))
def test_growing_by_steps_writes_every_tile_of_the_whole_tree(old: int, added: int) -> None:
    new = old + added
    written = {*tiles_between(0, old), *tiles_between(old, new)}
    assert set(tiles_between(0, new)) <= written
    assert all(tile not in set(tiles_between(0, old)) for tile in tiles_between(old, new))


def test_nothing_new_writes_nothing_and_shrinking_is_refused() -> None:
    assert list(tiles_between(300, 300)) == []
    with pytest.raises(TileError):
        list(tiles_between(301, 300))


def test_a_mirror_rebuilds_root_and_leaves_from_tiles_alone() -> None:
    entries = distinct_leaves(70_001)
    store = Store(entries)
    mirror: dict[Coordinate, bytes] = {}
    leaves: list[bytes] = []
    for tile in tiles_between(0, 70_001):
        if tile.level is None:
            content = encode_entries([entries[i] for i in tile.leaves()])
            leaves += decode_entries(content, tile.width)
        else:
            wanted = tile.coordinates()
            content = encode_hashes(list(store(wanted).values()))
            mirror |= zip(wanted, decode_hashes(content, tile.width), strict=True)
    rebuilt = Frontier()
    rebuilt.extend([leaf_hash(leaf) for leaf in leaves])
    assert rebuilt.root() == root_at(70_001, store)
    assert (16, 0) in mirror
    assert all(store.nodes[coordinate] == value for coordinate, value in mirror.items())


def test_only_the_right_kind_of_tile_answers() -> None:
    with pytest.raises(TileError):
        Tile(None, 0).coordinates()
    with pytest.raises(TileError):
        Tile(0, 0).leaves()


@unhurried
@given(st.lists(st.binary(max_size=400), max_size=TILE_WIDTH))
def test_entry_bundles_survive(entries: list[bytes]) -> None:
    assert decode_entries(encode_entries(entries), len(entries)) == entries


def test_the_longest_entry_fits_and_a_longer_one_does_not() -> None:
    longest = bytes(LEAF_LIMIT_BYTES)
    assert decode_entries(encode_entries([longest, b"x"]), 2) == [longest, b"x"]
    with pytest.raises(TileError):
        encode_entries([longest + b"x"])


@pytest.mark.parametrize(
    ("data", "width"),
    [(b"\x00", 1), (b"\x00\x02a", 1), (b"\x00\x01a", 2), (b"\x00\x01a\x00", 1), (b"", 1)],
)
def test_what_is_no_entry_bundle_is_refused(data: bytes, width: int) -> None:
    with pytest.raises(TileError):
        decode_entries(data, width)


def test_what_is_no_hash_tile_is_refused() -> None:
    with pytest.raises(TileError):
        decode_hashes(bytes(33), 1)
    with pytest.raises(TileError):
        decode_hashes(bytes(32), 2)
    with pytest.raises(TileError):
        encode_hashes([bytes(31)])
