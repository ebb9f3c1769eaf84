"""Small trees for tests: RFC 6962's eight leaves and roots, and a store of nodes in memory."""

from __future__ import annotations

from collections.abc import Sequence

from audit.merkle import Coordinate, Frontier, leaf_hash

RFC_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
RFC_ROOTS = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]


class Store:
    """Nodes of a growing tree, as a database would hold them, with a count of the rows read."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.nodes: dict[Coordinate, bytes] = {}
        self.rows_read = 0
        for run in Frontier().extend([leaf_hash(leaf) for leaf in leaves]):
            self.nodes |= {(run.level, run.first + i): h for i, h in enumerate(run.hashes)}

    def __call__(self, wanted: Sequence[Coordinate]) -> dict[Coordinate, bytes]:
        self.rows_read += len(wanted)
        return {coordinate: self.nodes[coordinate] for coordinate in wanted}


def distinct_leaves(count: int) -> list[bytes]:
    return [b"leaf %d" % n for n in range(count)]
