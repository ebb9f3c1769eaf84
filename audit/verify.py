"""Verify an audit bundle of Techno OS:  python verify.py BUNDLE.zip [--vkey VKEY]... [--kept FILE]

This one file is all an auditor needs: Python 3.11, its standard library, and `cryptography`. It
shares no code with the program that wrote the bundle; both follow docs/audit-format.md.

A bundle shows the leaves [first, end) of a log, in the order in which they were sealed:

1. keys         Whom to believe. Give --vkey with keys you got from elsewhere; without it the
                bundle's own keys are used, which shows that it is whole, but not whose log it is.
2. checkpoints  Every one must be signed by the log: so many leaves, with this root. With --kept,
                checkpoints that you kept from earlier are held against this bundle as well.
3. rows         Every row is hashed anew from its data. The tree over these hashes, with the hashes
                that stand for the leaves outside of the range, must have every signed root. So no
                row can be altered, missing or added, and no checkpoint contradicts another.
4. damage       If a root is not reached, the recorded leaf hashes tell where and how.

A row of the time range asked for, sealed outside of [first, end), would go unnoticed, unless the
bundle holds the whole log: the report says which it is. And the log may have shown others another
history. Only a witness speaks against that: demand its cosignature with a --vkey of its own.

Exit status: 0 all good; 1 damage, of the kind and at the leaf named; 2 the bundle cannot be read.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "techno-audit-bundle/v1"
MEMBERS = ["checkpoints.txt", "keys.txt", "leaves.bin", "manifest.json", "proof.json", "rows.jsonl"]
READ_LIMIT_BYTES = 64 * 1024 * 1024  # one line of rows.jsonl; every other member but leaves.bin


class Unreadable(Exception):
    """The bundle is not what its format demands, so there is nothing to judge."""


class Damage(Exception):
    """The bundle does not hold: what kind of damage, and at which leaf where that can be told."""

    def __init__(self, kind: str, message: str, leaf: int | None = None) -> None:
        super().__init__(f"{kind}: {'' if leaf is None else f'leaf {leaf}: '}{message}")
        self.kind, self.leaf = kind, leaf


def demand(condition: object, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


# ---- Leaves: the canonical bytes of a row --------------------------------------------------------
# Whether values have the right types need not be asked here: a wrong one makes another hash.

COLUMNS = {"reason_codes", "timestamp", "trace_id"}
ROW = COLUMNS | {"session_id", "user_ip", "companion", "salt", "commitments", "version", "index"}
LEAF_HEADER = b"techno-audit-leaf/v1\n"
LEAF_LIMIT_BYTES = 65_535
to_json = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode


def digest(data: bytes) -> str:
    return "sha256:" + sha256(data).hexdigest()


def leaf_hash(row: dict[str, Any]) -> bytes:
    demand(row.keys() == ROW, "a field is missing, or is one too many")
    demand(row["version"] == 1, "this verifier does not know that version of the leaf")
    companion = row["companion"] and dict(row["companion"])
    user_agent = companion.pop("user_agent") if companion else None
    personal = personal_part(row, user_agent)
    leaf = {"companion": companion, "personal": personal, **{name: row[name] for name in COLUMNS}}
    data = LEAF_HEADER + to_json(leaf).encode()
    if len(data) > LEAF_LIMIT_BYTES:
        data = LEAF_HEADER + digest(data).encode()
    return sha256(b"\x00" + data).digest()


def personal_part(row: dict[str, Any], user_agent: str | None) -> dict[str, Any]:
    """Session, agent and address: as they are, or as commitments, made here or given."""
    values = {"session_id": row["session_id"], "user_agent": user_agent, "user_ip": row["user_ip"]}
    if row["commitments"] is not None:  # the values were erased, or are withheld from this bundle
        demand({row["salt"], *values.values()} == {None}, "redacted, yet a value is left")
        demand(row["commitments"].keys() == values.keys(), "not the three commitments")
        return {"form": "committed", **row["commitments"]}
    if row["salt"] is None:  # another program wrote this row, and it was sealed without a salt
        return {"form": "plain", **values}
    salt = bytes.fromhex(row["salt"])
    demand(len(salt) == 16, "the salt is not 16 bytes")
    for name, value in values.items():
        if value is not None:
            values[name] = digest(salt + name.encode() + b"\x00" + value.encode())
    return {"form": "committed", **values}


# ---- The Merkle tree of RFC 9162 -----------------------------------------------------------------


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """Grows to the right and keeps only its largest complete subtrees."""

    def __init__(self) -> None:
        self.subtrees: list[tuple[int, bytes]] = []

    def add(self, level: int, value: bytes) -> None:
        """Append a complete subtree of 2**level leaves (level 0: one leaf hash)."""
        while self.subtrees and self.subtrees[-1][0] == level:
            value = node_hash(self.subtrees.pop()[1], value)
            level += 1
        self.subtrees.append((level, value))

    def add_span(self, begin: int, end: int, hashes: Sequence[str]) -> None:
        """Append leaves [begin, end), given as the hashes of their largest aligned subtrees."""
        for text in hashes:
            demand(begin < end, "a hash too many for the leaves outside of the range")
            level = (end - begin).bit_length() - 1
            while begin % (1 << level):
                level -= 1
            self.add(level, decode(text, 32))
            begin += 1 << level
        demand(begin == end, "a hash too few for the leaves outside of the range")

    def root(self) -> bytes:
        hashes = [value for _, value in self.subtrees] or [sha256(b"").digest()]
        while len(hashes) > 1:
            right = hashes.pop()
            hashes.append(node_hash(hashes.pop(), right))
        return hashes[0]


# ---- Signed notes and checkpoints (c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature) ------


class Key(NamedTuple):
    name: str
    key_id: bytes
    kind: int  # 1: a log's key; 4: a witness's, whose signature covers a time as well
    public: bytes


class Checkpoint(NamedTuple):
    origin: str
    size: int
    root: bytes
    text: str
    signatures: list[tuple[str, bytes, bytes]]  # name, key id, signature


def decode(text: str, length_bytes: int | None = None) -> bytes:
    data = base64.b64decode(text, validate=True)
    demand(base64.b64encode(data).decode() == text, "base64 with stray bits")
    demand(length_bytes in (None, len(data)), "a hash or key of the wrong length")
    return data


def parse_key(vkey: str) -> Key:
    name, key_id, encoded = vkey.split("+", 2)
    material = decode(encoded, 33)
    expected = sha256(name.encode() + b"\n" + material).digest()[:4]
    demand(key_id == expected.hex(), f"{vkey}: the key id does not fit the key")
    demand(material[0] in (1, 4), f"{vkey}: not a key for Ed25519")
    return Key(name, expected, material[0], material[1:])


def parse_checkpoints(content: str) -> list[Checkpoint]:
    """Notes one after another, each its text and its signatures, all parted by empty lines."""
    blocks = content.removesuffix("\n").split("\n\n")
    checkpoints = []
    for body, lines in zip(blocks[::2], blocks[1::2], strict=True):
        origin, size, root, *_ = body.split("\n")
        demand(re.fullmatch("0|[1-9][0-9]{0,18}", size), "a checkpoint whose size is no number")
        signatures = []
        for line in lines.split("\n"):
            dash, name, encoded = line.split(" ")
            demand(dash == "\u2014" and name, "a signature line that is none")
            blob = decode(encoded)
            signatures.append((name, blob[:4], blob[4:]))
        checkpoints.append(Checkpoint(origin, int(size), decode(root, 32), body + "\n", signatures))
    return checkpoints


def signers(checkpoint: Checkpoint, keys: Iterable[Key]) -> set[Key]:
    """Those of `keys` that signed. Signatures by other keys say nothing and are passed over."""
    known, found = {(key.name, key.key_id): key for key in keys}, set()
    for name, key_id, signature in checkpoint.signatures:
        key, message = known.get((name, key_id)), checkpoint.text.encode()
        if key is None:
            continue
        if key.kind == 4:
            time_s, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            message = b"cosignature/v1\ntime %d\n" % time_s + message
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
        except InvalidSignature:
            where = f"{name}+{key_id.hex()} on the checkpoint of size {checkpoint.size}"
            raise Damage("bad signature", where) from None
        found.add(key)
    return found


# ---- The bundle ----------------------------------------------------------------------------------


class Row(NamedTuple):
    leaf: bytes  # hash of the data as it is now; empty when that is no row of the format
    data: dict[str, Any]
    reason: str = ""


def refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    demand(len(values) == len(pairs), "a field stands twice")
    return values


from_json = json.JSONDecoder(object_pairs_hook=refuse_doubles).decode


class Bundle:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        demand(sorted(archive.namelist()) == MEMBERS, "these are not the members of a bundle")
        self.archive = archive
        self.manifest = from_json(self.read("manifest.json"))
        self.proof = from_json(self.read("proof.json"))
        demand(self.manifest["format"] == FORMAT, f"not of the format {FORMAT}")
        self.first, self.end, self.size = (self.manifest[k] for k in ("first", "end", "size"))
        demand(0 <= self.first <= self.end <= self.size < 2**63, "an impossible range of leaves")
        self.since, self.until = self.manifest["since"] or "", self.manifest["until"] or ""

    def read(self, name: str) -> str:
        demand(self.archive.getinfo(name).file_size <= READ_LIMIT_BYTES, f"{name} is too large")
        return self.archive.read(name).decode()

    def stream(self, name: str) -> io.BufferedReader:
        return io.BufferedReader(cast(Any, self.archive.open(name)), 1 << 16)

    def recorded(self) -> Iterator[bytes]:
        """The leaf hashes as the log recorded them; no evidence, but they help to name damage."""
        with self.stream("leaves.bin") as stream:
            while value := stream.read(32):
                yield value

    def rows(self) -> Iterator[Row]:
        """The rows, hashed anew."""
        with self.stream("rows.jsonl") as stream:
            while line := stream.readline(READ_LIMIT_BYTES):
                try:
                    data = from_json(line.decode())
                    yield Row(leaf_hash(data), data)
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                    yield Row(b"", {}, f" ({error})")


# ---- Verification --------------------------------------------------------------------------------


def verify(path: str, vkeys: Sequence[str] = (), kept: str | None = None) -> dict[str, Any]:
    """Check the bundle at `path` from end to end. Raises Damage or Unreadable.

    `vkeys` are the keys to trust: the log's, and those of witnesses that must have cosigned.
    `kept` is a file of checkpoints from another source. Returns the findings by name; under
    "cautions" is a list of what was not shown.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            bundle = Bundle(archive)
            keys = [parse_key(vkey) for vkey in vkeys or bundle.read("keys.txt").split()]
            checkpoints = parse_checkpoints(bundle.read("checkpoints.txt"))
            if kept:  # before the bundle's own of the same size, so that the last is the bundle's
                checkpoints = parse_checkpoints(Path(kept).read_text("utf-8")) + checkpoints
            checkpoints.sort(key=lambda checkpoint: checkpoint.size)
            findings = check_signatures(bundle, checkpoints, keys)
            check_rows(bundle, {(c.size, c.root) for c in checkpoints}, findings)
    except Damage:
        raise
    except Exception as error:  # whatever the file holds, it makes no traceback
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    if not vkeys:
        findings["cautions"].append("the keys are the bundle's own: compare them with the log's")
    if (bundle.first, bundle.end) != (0, bundle.size):
        caution = "rows of the time asked for may have been sealed outside of these leaves"
        findings["cautions"].append(caution)
    return findings


def check_signatures(
    bundle: Bundle, checkpoints: list[Checkpoint], keys: list[Key]
) -> dict[str, Any]:
    """The log has signed every checkpoint, and every witness given has cosigned the last one."""
    origin, everyone = bundle.manifest["origin"], set()
    for checkpoint in checkpoints:
        found = signers(checkpoint, keys)
        if checkpoint.origin != origin or (1, origin) not in {(k.kind, k.name) for k in found}:
            message = f"no trusted key of {origin} signed the checkpoint of size {checkpoint.size}"
            raise Damage("wrong key", message)
        everyone |= found
    for key in keys:
        if key.kind == 4 and key not in found:
            raise Damage("wrong key", f"the last checkpoint is not cosigned by {key.name}")
    sizes = [checkpoint.size for checkpoint in checkpoints]
    demand(sizes[-1] == bundle.size, "the last checkpoint is not of the size that is stated")
    for size in sizes:
        within = bundle.first <= size <= bundle.end or size == bundle.size
        demand(within, f"the leaves here cannot show the root at size {size}")
    return {
        "log": origin,
        "leaves": f"[{bundle.first}, {bundle.end}) of {bundle.size}",
        "asked for": f"{bundle.since or 'the beginning'} until {bundle.until or 'the end'}",
        "root": base64.b64encode(checkpoints[-1].root).decode(),
        "checkpoints": f"{len(sizes)}, of sizes {sizes[0]} to {sizes[-1]}",
        "signed by": ", ".join(sorted(f"{key.name}+{key.key_id.hex()}" for key in everyone)),
        "cautions": [],
    }


def check_rows(bundle: Bundle, signed: set[tuple[int, bytes]], findings: dict[str, Any]) -> None:
    """The rows, hashed anew, lead to every signed root."""
    census: Counter[str] = Counter()
    leaves = (row.leaf for row in noted(bundle, census, findings))
    sizes = {size for size, _ in signed}
    reached = roots_reached(bundle, leaves, sizes)
    if bundle.size not in {size for size, _ in signed & reached}:
        raise diagnosis(bundle, signed, sizes)
    for size, _ in sorted(signed - reached):
        message = f"another root was signed at size {size} than that of the tree signed at last"
        raise Damage("inconsistent checkpoints", message)
    if census["misnumbered"]:
        raise Damage("changed", f"{census['misnumbered']} rows state a wrong leaf number")
    findings["rows"] = ", ".join(f"{n} {what}" for what, n in census.items() if n) or "none"


def roots_reached(
    bundle: Bundle, leaves: Iterable[bytes], sizes: set[int]
) -> set[tuple[int, bytes]]:
    """Size and root of the tree over these leaves, at each of `sizes`."""
    tree, size, reached = Tree(), bundle.first, set()
    tree.add_span(0, size, bundle.proof["left"])
    for leaf in leaves:
        if size in sizes and size < bundle.end:
            reached.add((size, tree.root()))
        tree.add(0, leaf)
        size += 1
    if size == bundle.end:
        reached.add((size, tree.root()))
        tree.add_span(size, bundle.size, bundle.proof["right"])
        reached.add((bundle.size, tree.root()))
    return reached


def noted(bundle: Bundle, census: Counter[str], findings: dict[str, Any]) -> Iterator[Row]:
    """The rows, taking note on the way of what they are."""
    edges = {bundle.first} - {0} | {bundle.end - 1} - {bundle.size - 1}
    earliest, latest = "~", ""
    for leaf, row in enumerate(bundle.rows(), bundle.first):
        census["in all"] += 1
        when = row.data.get("timestamp")
        if isinstance(when, str):
            earliest, latest = min(earliest, when), max(latest, when)
            in_range = bundle.since <= when < (bundle.until or "~")
            census["of the time asked for"] += in_range
            if in_range and leaf in edges and (bundle.since or bundle.until):
                caution = f"leaf {leaf} at the edge is of the time asked for: there may be more"
                findings["cautions"].append(caution)
        census["redacted"] += row.data.get("commitments") is not None
        census["by other programs"] += row.data.get("companion") is None
        census["misnumbered"] += row.data.get("index") != leaf
        yield row
    findings["time span"] = f"{earliest} to {latest}"


def diagnosis(bundle: Bundle, signed: set[tuple[int, bytes]], sizes: set[int]) -> Damage:
    """The first bad leaf and its kind of damage, as far as the recorded leaf hashes can tell."""
    reached = roots_reached(bundle, bundle.recorded(), sizes)
    good = max((size for size, _ in signed & reached), default=-1)
    missing = bundle.end - bundle.first - sum(1 for _ in bundle.rows())
    pairs = enumerate(zip_longest(bundle.recorded(), bundle.rows()), bundle.first)
    bad = ((leaf, want, row) for leaf, (want, row) in pairs if not row or want != row.leaf)
    leaf, want, row = next(bad, (bundle.size, b"", None))
    if good < bundle.size and leaf >= good:
        kind, low = "cut off" if missing > 0 else "rewritten", max(good, bundle.first)
        high = min(size for size in sizes if size > good)
        message = f"the recorded hashes do not lead to the root signed at size {high} either; "
        message += f"the first bad leaf is one of [{low}, {high}), if not a hash outside the range"
        return Damage(kind, message, low)
    if row is None:
        return Damage("cut off", "this row and all after it are missing", leaf)
    later = leaf - bundle.first + 1
    want_comes_later = any(other.leaf == want for other in islice(bundle.rows(), later, None))
    row_comes_later = row.leaf in islice(bundle.recorded(), later, None)
    if want is None or (want_comes_later and (missing < 0 or not row_comes_later)):
        return Damage("inserted", f"a row that is not in the log stands here{row.reason}", leaf)
    if want_comes_later:
        return Damage("swapped", "the row of another leaf stands here, and this one later", leaf)
    if row_comes_later:
        return Damage("deleted", "its row is missing, the row of a later leaf follows", leaf)
    return Damage("changed", f"the row is not the one that was sealed{row.reason}", leaf)


# ---- Command line --------------------------------------------------------------------------------


def say(what: str, text: object) -> None:
    """Print a line in which no character of the bundle can play with the terminal."""
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(text))
    encoding = sys.stdout.encoding or "ascii"
    print(f"{what:12} {shown}".encode(encoding, "backslashreplace").decode(encoding))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Verify an audit bundle of Techno OS.")
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--vkey", action="append", default=[], help="key to trust; may be repeated")
    parser.add_argument("--kept", metavar="FILE", help="checkpoints that you kept from earlier")
    options = parser.parse_args(arguments)
    try:
        findings = verify(options.bundle, options.vkey, options.kept)
    except Damage as damage:
        say("DAMAGED", damage)
        return 1
    except Unreadable as error:
        say("UNREADABLE", error)
        return 2
    cautions = findings.pop("cautions")
    say("OK", "every row of these leaves is as it was signed, and none is missing")
    for name, finding in findings.items():
        say(name, finding)
    for caution in cautions:
        say("CAUTION", caution)
    return 0


if __name__ == "__main__":
    sys.exit(main())
