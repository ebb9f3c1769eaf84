"""A small C2SP witness, and an endpoint that takes checkpoints: written from the specifications.

Nothing of ours is used here. The witness keeps what it saw last of each log in a file, so that it
can be restarted; ``mode`` makes it misbehave.
"""

from __future__ import annotations

import base64
import json
import ssl
import struct
import threading
import time
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class Refused(Exception):
    """The answer to a request that is not to be cosigned."""

    def __init__(self, status: int, body: str = "") -> None:
        super().__init__(status, body)
        self.status, self.body = status, body


def key_id(name: str, kind: int, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def root_of(old: int, new: int, proof: list[bytes], old_root: bytes) -> tuple[bytes, bytes]:
    """Return the roots of both sizes that a consistency proof leads to (RFC 9162, 2.1.4.2)."""
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise Refused(422)
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            raise Refused(422)
        if fn & 1 or fn == sn:
            fr, sr = sha256(b"\x01" + c + fr).digest(), sha256(b"\x01" + c + sr).digest()
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = sha256(b"\x01" + sr + c).digest()
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise Refused(422)
    return fr, sr


class Witness:
    """Cosigns what extends the last that it saw; remembers it in ``state``."""

    def __init__(self, state: Path, name: str = "witness.example/one") -> None:
        self.name = name
        self.mode = ""
        self.answers: list[int] = []
        self._state = state
        self._key = Ed25519PrivateKey.generate()
        self._public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.logs: dict[str, str] = {}

    @property
    def vkey(self) -> str:
        """The cosigning key, as it is given to logs."""
        text = base64.b64encode(b"\x04" + self._public).decode()
        return f"{self.name}+{key_id(self.name, 4, self._public).hex()}+{text}"

    def knows(self) -> dict[str, Any]:
        """Return size and root that were cosigned last."""
        if not self._state.exists():
            return {"size": 0, "root": ""}
        found: dict[str, Any] = json.loads(self._state.read_text())
        return found

    def forget(self) -> None:
        """Lose everything that was seen."""
        self._state.unlink(missing_ok=True)

    def add_checkpoint(self, body: str) -> str:
        """Answer one request. Raises :class:`Refused`."""
        head, note = body.split("\n\n", 1)
        old_line, *hashes = head.split("\n")
        old = int(old_line.removeprefix("old "))
        text, signatures = note.split("\n\n", 1)
        text += "\n"
        origin, size_text, root_text = text.split("\n")[:3]
        size, root = int(size_text), base64.b64decode(root_text, validate=True)
        self._check_signature(origin, text, signatures)
        if self.mode == "broken":
            raise Refused(500, "out of order")
        seen = self.knows()
        if old > size:
            raise Refused(400)
        if old != seen["size"] or (old == size and old and root.hex() != seen["root"]):
            raise Refused(409, f"{seen['size']}\n")
        if old == 0 or old == size:
            if hashes:
                raise Refused(422)
        else:
            proof = [base64.b64decode(line, validate=True) for line in hashes]
            before = bytes.fromhex(seen["root"])
            if root_of(old, size, proof, before) != (before, root):
                raise Refused(422)
        self._state.write_text(json.dumps({"size": size, "root": root.hex()}))
        return self._cosign(text)

    def _check_signature(self, origin: str, text: str, signatures: str) -> None:
        if origin not in self.logs:
            raise Refused(404)
        name, id_text, key_text = self.logs[origin].split("+", 2)
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key_text)[1:])
        for line in signatures.splitlines():
            dash, signer, encoded = line.split(" ")
            raw = base64.b64decode(encoded)
            if (dash, signer, raw[:4].hex()) == ("\u2014", name, id_text):
                try:
                    public.verify(raw[4:], text.encode())
                except InvalidSignature as error:
                    raise Refused(403) from error
                return
        raise Refused(403)

    def _cosign(self, text: str) -> str:
        now = int(time.time())
        message = f"cosignature/v1\ntime {now}\n{text}".encode()
        if self.mode == "forging":
            message += b"x"
        raw = key_id(self.name, 4, self._public) + struct.pack(">Q", now) + self._key.sign(message)
        return f"\u2014 {self.name} {base64.b64encode(raw).decode()}\n"


class Endpoint:
    """Serves a witness under ``/witness/`` and takes checkpoints at ``/checkpoint``."""

    def __init__(self, witness: Witness, tls: tuple[Path, Path] | None = None) -> None:
        self.witness = witness
        self.checkpoints: list[str] = []
        self.failing = False
        self.port = 0
        self._tls = tls

    def start(self) -> None:
        """Listen, on the same port as before when there was one."""
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, text = endpoint.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        if self._tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, body: str) -> tuple[int, str]:
        """Return status and body for a request."""
        if path == "/checkpoint":
            if self.failing:
                return 503, "not now"
            self.checkpoints.append(body)
            return 200, ""
        if path != "/witness/add-checkpoint":
            return 404, ""
        try:
            status, text = 200, self.witness.add_checkpoint(body)
        except Refused as refusal:
            status, text = refusal.status, refusal.body
        self.witness.answers.append(status)
        return status, text
