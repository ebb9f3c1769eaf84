"""Signed notes, checkpoints, cosignatures and proof files: known vectors and hostile bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import verify
from audit.checkpoint import (
    PROOF_LIMIT_BYTES,
    Checkpoint,
    ProofFile,
    add_checkpoint_request,
    open_checkpoint,
    parse_decimal,
)
from audit.merkle import EMPTY_ROOT, Frontier, ProofError, leaf_hash, prove_inclusion
from audit.note import (
    COSIGNATURE,
    ED25519,
    NOTE_LIMIT_BYTES,
    BadSignatureError,
    MalformedNoteError,
    Note,
    NoteError,
    NoteSignature,
    SigningKey,
    UnknownKeyError,
    VerifierKey,
    decode_base64,
    encode_base64,
    parse_signatures,
)
from tests.audit.format_document import vector
from tests.audit.sample_log import FIRST_KEY, ORIGIN, SECOND_KEY, STRANGER_KEY, WITNESS_KEY
from tests.audit.sample_tree import RFC_LEAVES, RFC_ROOTS, Store

unhurried = settings(deadline=None)  # a loaded machine is no failure

VKEY = "example.org/portal/audit+769506ad+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
SIGNATURE = (
    "dpUGrZp+Dxaz2FRN7B7Gd4uQuHPY0HEvIj2917flaF3Rtlj6JMhdjrhlCQb2b33ZN+a0nKhATnbcQRTRZg6tOZ9yMgs="
)
CHECKPOINT = Checkpoint(ORIGIN, 8, RFC_ROOTS[8])
NOTE = f"{CHECKPOINT.text}\n\u2014 {ORIGIN} {SIGNATURE}\n".encode()
KEYS = [FIRST_KEY.verifier]


# ---- Known vectors


def test_the_known_key_and_signature() -> None:
    assert FIRST_KEY.verifier.vkey == VKEY
    assert VerifierKey.parse(VKEY) == FIRST_KEY.verifier
    assert CHECKPOINT.sign(FIRST_KEY).encode() == NOTE
    assert open_checkpoint(NOTE, KEYS, ORIGIN)[0] == CHECKPOINT


def test_the_documented_key_and_note() -> None:
    assert vector("vkey") == VKEY
    assert vector("checkpoint") + "\n" == NOTE.decode()
    assert CHECKPOINT.text == vector("checkpoint").partition("\n\n")[0] + "\n"


def test_the_documented_cosignature() -> None:
    note = CHECKPOINT.sign(FIRST_KEY)
    note = note.with_signatures(WITNESS_KEY.sign(note.text, 1_763_884_800))
    assert vector("vkey-witness") == WITNESS_KEY.verifier.vkey
    assert vector("checkpoint-cosigned") + "\n" == note.encode().decode()


def test_the_note_of_the_signed_note_specification() -> None:
    # From c2sp.org/signed-note, whose public key is not given there: parsed, not verified.
    text = (
        "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\n"
        "ed è subito sera.\n\n\u2014 quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2"
        "i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
    )
    note = Note.parse(text.encode())
    assert note.text.endswith("\n\ned è subito sera.\n")
    assert note.signatures[0].name == "quasimodo.example/salvatore"
    assert note.encode() == text.encode()


def test_the_documented_proof_file() -> None:
    path = tuple(prove_inclusion(2, 8, Store(RFC_LEAVES)))
    proof = ProofFile(2, path, NOTE)
    assert vector("proof-file") + "\n" == proof.encode().decode()
    assert ProofFile.parse(proof.encode()) == proof
    assert proof.verify(leaf_hash(RFC_LEAVES[2]), KEYS, ORIGIN) == CHECKPOINT


# ---- Round trips


names = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="+"), min_size=1
).filter(lambda name: not any(c.isspace() for c in name))
seeds = st.binary(min_size=32, max_size=32)


@unhurried
@given(names, seeds, st.sampled_from([ED25519, COSIGNATURE]))
def test_keys_survive_their_text_forms(name: str, seed: bytes, key_type: int) -> None:
    key = SigningKey(name, seed, key_type)
    assert VerifierKey.parse(key.verifier.vkey) == key.verifier
    assert SigningKey.parse(key.encode()).verifier == key.verifier
    assert encode_base64(seed) not in repr(key)


def test_generated_keys_differ_and_sign() -> None:
    keys = [SigningKey.generate(ORIGIN), SigningKey.generate(ORIGIN)]
    assert keys[0].verifier != keys[1].verifier
    note = CHECKPOINT.sign(*keys)
    assert len(note.verify([key.verifier for key in keys])) == 2


@unhurried
@given(
    names,
    st.integers(1, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(names, max_size=2),
)
def test_checkpoints_survive_their_text(
    origin: str, size: int, root: bytes, extensions: list[str]
) -> None:
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    assert Checkpoint.parse(checkpoint.text) == checkpoint
    note = checkpoint.sign(SigningKey(origin, bytes(32)))
    assert Note.parse(note.encode()) == note
    assert open_checkpoint(note.encode(), [SigningKey(origin, bytes(32)).verifier], origin)


@unhurried
@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(max_size=40),
)
def test_proof_files_survive_their_text(index: int, path: list[bytes], extra: bytes | None) -> None:
    proof = ProofFile(index, tuple(path), NOTE, extra)
    assert ProofFile.parse(proof.encode()) == proof


# ---- Keys


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "example.org",
        "example.org+769506ad",
        VKEY + "=",
        VKEY + "\n",
        " " + VKEY,
        VKEY.replace("769506ad", "769506AD"),
        VKEY.replace("769506ad", "769506ae"),
        VKEY.replace("769506ad", "69506ad"),
        VKEY.replace("example.org/", "example.com/"),
        VKEY.replace("example.org/", "exam ple.org/"),
        VKEY.replace("+AQ", "+Ag"),
        VKEY[:-4],
        "+" + VKEY.partition("+")[2],
        f"{ORIGIN}+769506ad+",
        f"{ORIGIN}+769506ad+ä",
    ],
)
def test_what_is_no_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(MalformedNoteError):
        VerifierKey.parse(vkey)


def test_a_key_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(MalformedNoteError, match="type"):
        VerifierKey(ORIGIN, bytes(32), 0x06)
    with pytest.raises(MalformedNoteError, match="type"):
        VerifierKey(ORIGIN, bytes(31))


@pytest.mark.parametrize(
    "damage", ["", "PUBLIC+KEY+x\n", "\n", "cut", "flip", "no newline", "crlf"]
)
def test_a_damaged_signing_key_file_is_refused_without_showing_it(damage: str) -> None:
    text = FIRST_KEY.encode()
    secret = text.rpartition("+")[2].strip()
    damaged = {
        "cut": text[:-9] + "\n",
        "flip": text.replace("769506ad", "769506ae"),
        "no newline": text[:-1],
        "crlf": text[:-1] + "\r\n",
    }.get(damage, damage)
    with pytest.raises(MalformedNoteError) as caught:
        SigningKey.parse(damaged)
    assert secret[:8] not in str(caught.value)


def test_the_seed_has_32_bytes() -> None:
    with pytest.raises(MalformedNoteError):
        SigningKey(ORIGIN, bytes(31))


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\u00a0b", "a\u2003b", "a\tb", "a\x00b", "a\nb"]
)
def test_names_with_space_plus_or_control_are_refused(name: str) -> None:
    with pytest.raises(MalformedNoteError, match="name"):
        SigningKey(name, bytes(32))


# ---- Notes


def replaced(old: str, new: str) -> bytes:
    text = NOTE.decode()
    assert old in text
    return text.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        b"a\n\n",
        NOTE[:-1],
        NOTE + b"\n",
        NOTE.replace(b"\n", b"\r\n"),
        NOTE.replace(b"\n\n", b"\n"),
        CHECKPOINT.text.encode(),
        CHECKPOINT.text.encode() + b"\n",
        NOTE.replace(b"portal", b"por\x00al", 1),
        NOTE.replace(b"portal", b"por\x1ftal", 1),
        NOTE.replace(b"portal", b"por\ttal", 1),
        NOTE.replace(b"portal", b"por\xfftal", 1),
        replaced("\u2014 ", "\u2013 "),
        replaced("\u2014 ", "- "),
        replaced("\u2014 ", "\u2014"),
        replaced("\u2014 ", "\u2014  "),
        replaced("\u2014 ", " \u2014 "),
        replaced(f" {SIGNATURE}", f"  {SIGNATURE}"),
        replaced(f" {SIGNATURE}", f"\u00a0{SIGNATURE}"),
        replaced(SIGNATURE, SIGNATURE + " "),
        replaced(SIGNATURE, SIGNATURE + " x"),
        replaced(f" {SIGNATURE}", ""),
        replaced(SIGNATURE, "%%%%"),
        replaced(SIGNATURE, SIGNATURE[:-1]),
        replaced(SIGNATURE, SIGNATURE[:-2] + "t="),  # bits after the last byte
        replaced(SIGNATURE, SIGNATURE.replace("+", "-")),
        replaced(SIGNATURE, "dpUGrQ=="),  # a key id, and no signature
        replaced(f"\u2014 {ORIGIN} ", "\u2014 a+b "),
        NOTE.rstrip(b"\n") + "\n\u2014 \n".encode(),
        NOTE + b"trailing\n",
        NOTE + b"\x80",
        b"x" * NOTE_LIMIT_BYTES + NOTE,
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedNoteError):
        Note.parse(data)


@unhurried
@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    for sample in (data, NOTE + data, NOTE[:100] + data, CHECKPOINT.text.encode() + b"\n" + data):
        for parse in (Note.parse, ProofFile.parse):
            try:
                parse(sample)
            except MalformedNoteError:
                continue


@unhurried
@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
def test_no_flipped_byte_passes(position: int, mask: int) -> None:
    data = bytearray(NOTE)
    data[position] ^= mask
    with pytest.raises(NoteError):
        open_checkpoint(bytes(data), KEYS, ORIGIN)


def test_unknown_keys_are_passed_over() -> None:
    note = CHECKPOINT.sign(STRANGER_KEY, FIRST_KEY)
    nonsense = NoteSignature("elsewhere.example", b"abcd", b"no signature at all")
    same_name = NoteSignature(ORIGIN, b"abcd", bytes(64))
    same_id = NoteSignature("elsewhere.example", FIRST_KEY.verifier.key_id, bytes(64))
    note = note.with_signatures(nonsense, nonsense, same_name, same_id)
    _, signatures = open_checkpoint(note.encode(), KEYS, ORIGIN)
    assert [signature.key for signature in signatures] == KEYS


def test_a_note_of_unknown_keys_alone_is_refused() -> None:
    with pytest.raises(UnknownKeyError):
        open_checkpoint(CHECKPOINT.sign(STRANGER_KEY).encode(), KEYS, ORIGIN)
    with pytest.raises(UnknownKeyError):
        open_checkpoint(NOTE, [], ORIGIN)


def test_one_failing_signature_of_a_known_key_condemns_the_note() -> None:
    keys = [FIRST_KEY.verifier, SECOND_KEY.verifier]
    good = CHECKPOINT.sign(FIRST_KEY)
    bad = Checkpoint(ORIGIN, 9, RFC_ROOTS[8]).sign(SECOND_KEY).signatures
    open_checkpoint(good.with_signatures(*bad).encode(), keys[:1], ORIGIN)  # unknown: no matter
    with pytest.raises(BadSignatureError):
        open_checkpoint(good.with_signatures(*bad).encode(), keys, ORIGIN)


@pytest.mark.parametrize("length_bytes", [1, 8, 63, 65, 72])
def test_a_signature_of_the_wrong_length_is_bad(length_bytes: int) -> None:
    for key in (FIRST_KEY.verifier, WITNESS_KEY.verifier):
        line = NoteSignature(key.name, key.key_id, bytes(length_bytes))
        with pytest.raises(BadSignatureError):
            Note(CHECKPOINT.text, (line,)).verify([key])


def test_two_lines_of_one_known_key_are_refused() -> None:
    with pytest.raises(BadSignatureError, match="two signatures"):
        Note.parse(CHECKPOINT.sign(FIRST_KEY, FIRST_KEY).encode()).verify(KEYS)


def test_two_different_keys_under_one_id_are_refused() -> None:
    class SameId(VerifierKey):
        @property
        def key_id(self) -> bytes:
            return FIRST_KEY.verifier.key_id

    other = SameId(ORIGIN, bytes(32))
    with pytest.raises(NoteError, match="same name and id"):
        Note.parse(NOTE).verify([FIRST_KEY.verifier, other])


def test_a_known_key_given_twice_is_one_key() -> None:
    assert len(Note.parse(NOTE).verify(KEYS * 2)) == 1


def test_a_rotation_signs_with_both_keys_and_either_reader_is_content() -> None:
    note = CHECKPOINT.sign(FIRST_KEY, SECOND_KEY).encode()
    for key in (FIRST_KEY, SECOND_KEY):
        assert open_checkpoint(note, [key.verifier], ORIGIN)[0] == CHECKPOINT


def test_sixteen_long_signatures_fit() -> None:
    lines = [NoteSignature(f"pq.example/{n}", b"abcd", bytes(5_000)) for n in range(16)]
    note = CHECKPOINT.sign(FIRST_KEY).with_signatures(*lines)
    assert open_checkpoint(note.encode(), KEYS, ORIGIN)[0] == CHECKPOINT


# ---- Checkpoints


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{ORIGIN}\n8\n",
        CHECKPOINT.text[:-1],
        CHECKPOINT.text + "\n",
        CHECKPOINT.text.replace("\n8\n", "\n08\n"),
        CHECKPOINT.text.replace("\n8\n", "\n+8\n"),
        CHECKPOINT.text.replace("\n8\n", "\n-8\n"),
        CHECKPOINT.text.replace("\n8\n", "\n 8\n"),
        CHECKPOINT.text.replace("\n8\n", "\n8 \n"),
        CHECKPOINT.text.replace("\n8\n", "\n8_0\n"),
        CHECKPOINT.text.replace("\n8\n", "\n\u0668\n"),
        CHECKPOINT.text.replace("\n8\n", "\n0x8\n"),
        CHECKPOINT.text.replace("\n8\n", "\n\n"),
        CHECKPOINT.text.replace("\n8\n", f"\n{2**63}\n"),
        CHECKPOINT.text.replace("\n8\n", "\n" + "9" * 5000 + "\n"),
        CHECKPOINT.text.replace("\n8\n", "\n0\n"),  # another root than the empty tree's
        CHECKPOINT.text.replace("=\n", "\n"),
        CHECKPOINT.text.replace("=\n", "==\n"),
        f"{ORIGIN}\n8\n{encode_base64(bytes(31))}\n",
        f"\n8\n{encode_base64(bytes(32))}\n",
        CHECKPOINT.text + "\nextension\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(MalformedNoteError):
        Checkpoint.parse(text)


def test_an_empty_tree_can_be_signed() -> None:
    checkpoint = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert open_checkpoint(checkpoint.sign(FIRST_KEY).encode(), KEYS, ORIGIN)[0] == checkpoint


def test_another_logs_checkpoint_is_refused() -> None:
    other = Checkpoint("example.org/other", 8, RFC_ROOTS[8]).sign(FIRST_KEY)
    with pytest.raises(MalformedNoteError, match=r"example\.org/other"):
        open_checkpoint(other.encode(), KEYS, ORIGIN)


@pytest.mark.parametrize(
    "text", ["", "00", "01", "-1", "+1", "1\n", " 1", "1.0", "\u0661", str(2**63)]
)
def test_what_is_no_decimal_is_refused(text: str) -> None:
    with pytest.raises(MalformedNoteError):
        parse_decimal(text)


def test_decimals_up_to_the_limit_are_read() -> None:
    assert [parse_decimal(str(n)) for n in (0, 7, 2**63 - 1)] == [0, 7, 2**63 - 1]


# ---- Cosignatures


def test_a_cosignature_states_its_time_and_covers_it() -> None:
    note = CHECKPOINT.sign(FIRST_KEY)
    line = WITNESS_KEY.sign(note.text, 1_763_884_800)
    keys = [FIRST_KEY.verifier, WITNESS_KEY.verifier]
    _, signatures = open_checkpoint(note.with_signatures(line).encode(), keys, ORIGIN)
    assert {s.key.name: s.timestamp_s for s in signatures} == {
        ORIGIN: None,
        "witness.example/w1": 1_763_884_800,
    }
    later = (1_763_884_801).to_bytes(8, "big") + line.signature[8:]
    forged = NoteSignature(line.name, line.key_id, later)
    with pytest.raises(BadSignatureError):
        note.with_signatures(forged).verify(keys)


def test_a_witness_alone_does_not_speak_for_the_log() -> None:
    note = Note(CHECKPOINT.text, (WITNESS_KEY.sign(CHECKPOINT.text, 1),))
    with pytest.raises(UnknownKeyError, match=ORIGIN):
        open_checkpoint(note.encode(), [WITNESS_KEY.verifier, *KEYS], ORIGIN)
    posing = SigningKey(ORIGIN, bytes(32), COSIGNATURE)
    note = Note(CHECKPOINT.text, (posing.sign(CHECKPOINT.text, 1),))
    with pytest.raises(UnknownKeyError):
        open_checkpoint(note.encode(), [posing.verifier, *KEYS], ORIGIN)


def test_another_logs_key_does_not_speak_for_this_log() -> None:
    other = SigningKey("example.org/other", bytes(32))
    with pytest.raises(UnknownKeyError):
        open_checkpoint(CHECKPOINT.sign(other).encode(), [other.verifier], ORIGIN)


def test_a_witness_answer_is_read_line_by_line() -> None:
    lines = (WITNESS_KEY.sign(CHECKPOINT.text, 5), NoteSignature("w.example/2", b"abcd", b"x"))
    assert parse_signatures("".join(line.line() for line in lines)) == lines
    for text in ("", "\n", lines[0].line()[:-1], lines[0].line() + "\n"):
        with pytest.raises(MalformedNoteError):
            parse_signatures(text)


@pytest.mark.parametrize("timestamp_s", [-1, 2**63])
def test_impossible_times_are_neither_signed_nor_accepted(timestamp_s: int) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        WITNESS_KEY.sign(CHECKPOINT.text, timestamp_s)
    key = WITNESS_KEY.verifier
    line = NoteSignature(key.name, key.key_id, b"\xff" * 8 + bytes(64))
    with pytest.raises(BadSignatureError, match="time"):
        Note(CHECKPOINT.text, (line,)).verify([key])


def test_only_cosignatures_have_a_time() -> None:
    with pytest.raises(ValueError, match="timestamp"):
        FIRST_KEY.sign(CHECKPOINT.text, 5)
    with pytest.raises(ValueError, match="timestamp"):
        WITNESS_KEY.sign(CHECKPOINT.text)


def test_the_request_to_a_witness() -> None:
    body = add_checkpoint_request(3, [bytes(32)], CHECKPOINT.sign(FIRST_KEY))
    assert body == f"old 3\n{encode_base64(bytes(32))}\n\n".encode() + NOTE


# ---- Proof files

PROOF = ProofFile(2, tuple(prove_inclusion(2, 8, Store(RFC_LEAVES))), NOTE)


def test_extra_data_is_carried_along() -> None:
    proof = ProofFile(2, PROOF.path, NOTE, b"a hint")
    assert b"\nextra YSBoaW50\nindex 2\n" in proof.encode()
    assert ProofFile.parse(proof.encode()).extra == b"a hint"


def test_a_log_of_one_leaf_has_an_empty_path() -> None:
    frontier = Frontier()
    frontier.append(leaf_hash(b"only"))
    note = Checkpoint(ORIGIN, 1, frontier.root()).sign(FIRST_KEY)
    proof = ProofFile.parse(ProofFile(0, (), note.encode()).encode())
    assert proof.verify(leaf_hash(b"only"), KEYS, ORIGIN).size == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PROOF.encode()[1:],
        PROOF.encode().replace(b"@v1", b"@v2"),
        PROOF.encode().replace(b"\n", b"\r\n"),
        PROOF.encode().replace(b"index 2\n", b""),
        PROOF.encode().replace(b"index 2\n", b"index 02\n"),
        PROOF.encode().replace(b"index 2\n", b"index 2 \n"),
        PROOF.encode().replace(b"index 2\n", b"index  2\n"),
        PROOF.encode().replace(b"index 2\n", b"Index 2\n"),
        PROOF.encode().replace(b"index 2\n", b"index 2\nextra YQ==\n"),
        PROOF.encode().replace(b"index 2\n", b"extra YQ==\nextra YQ==\nindex 2\n"),
        PROOF.encode().replace(b"index 2\n", b"extra YR==\nindex 2\n"),
        PROOF.encode().replace(b"index 2\n", b"index 2\n\n"),
        PROOF.encode().replace(b"index 2\n", b"index 2\nYQ==\n"),
        PROOF.encode().replace(b"=\n\n", b"\n\n", 1),
        PROOF.encode().partition(b"\n\n")[0] + b"\n",
        PROOF.encode()[:-1],
        ProofFile(2, (bytes(32),) * 64, NOTE).encode(),
        b"c2sp.org/tlog-proof@v1\nextra " + b"A" * PROOF_LIMIT_BYTES + b"\n",
    ],
)
def test_what_is_no_proof_file_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedNoteError):
        ProofFile.parse(data)


def test_a_proof_of_another_leaf_place_or_log_is_refused() -> None:
    leaf = leaf_hash(RFC_LEAVES[2])
    with pytest.raises(ProofError):
        PROOF.verify(leaf_hash(RFC_LEAVES[3]), KEYS, ORIGIN)
    with pytest.raises(ProofError):
        ProofFile(3, PROOF.path, NOTE).verify(leaf, KEYS, ORIGIN)
    with pytest.raises(ProofError):
        ProofFile(2, PROOF.path[:-1], NOTE).verify(leaf, KEYS, ORIGIN)
    with pytest.raises(UnknownKeyError):
        PROOF.verify(leaf, [SECOND_KEY.verifier], ORIGIN)


# ---- The standalone verifier reads the same


def test_the_standalone_verifier_agrees_on_keys_and_notes() -> None:
    note = CHECKPOINT.sign(FIRST_KEY, SECOND_KEY)
    note = note.with_signatures(WITNESS_KEY.sign(note.text, 7))
    keys = [FIRST_KEY.verifier, WITNESS_KEY.verifier]
    (checkpoint,) = verify.parse_checkpoints(note.encode().decode())
    assert (checkpoint.size, checkpoint.root) == (8, RFC_ROOTS[8])
    assert checkpoint.text == CHECKPOINT.text
    own = [verify.parse_key(key.vkey) for key in keys]
    assert [(k.name, k.key_id, k.kind, k.public) for k in own] == [
        (k.name, k.key_id, k.key_type, k.public_key) for k in keys
    ]
    assert verify.signers(checkpoint, own) == set(own)


@pytest.mark.parametrize("text", ["YR==", "YQ=", "YQ", "Y Q==", "YQ==\n", "_-__", "ä"])
def test_base64_has_one_spelling(text: str) -> None:
    with pytest.raises(MalformedNoteError):
        decode_base64(text)
    with pytest.raises(ValueError):
        verify.decode(text)
