"""A wire between a client and PostgreSQL that can be cut or held at the worst moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_SIZE_BYTES = 65_536


class Proxy:
    """Passes on what a client and the server say to each other, over a socket of its own.

    ``parameters`` are psycopg's for the real server; ``through`` are those for this proxy.
    """

    def __init__(self, parameters: dict[str, Any], directory: Path) -> None:
        self._target = parameters
        self.through = {**parameters, "host": str(directory), "port": 5432}
        self._flowing = threading.Event()
        self._flowing.set()
        self._losing = False
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / ".s.PGSQL.5432"))
        self._listener.listen()
        self.answers = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._flowing.set()
        for one in (self._listener, *self._open):
            _close(one)

    def hold(self) -> None:
        """Let requests through and keep every answer back, like a server that is frozen."""
        self._flowing.clear()

    def release(self) -> None:
        """Let answers through again, the late ones first."""
        self._flowing.set()

    def lose_next_answer(self) -> None:
        """When the server answers next, cut the connection instead of telling."""
        self._losing = True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._dial()
                self._open += [client, server]
                for pump in (self._ask, self._tell):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _dial(self) -> socket.socket:
        host, port = str(self._target.get("host", "")), int(self._target.get("port") or 5432)
        if not host.startswith("/"):
            return socket.create_connection((host or "localhost", port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(_SIZE_BYTES):
                server.sendall(data)
        _close(client), _close(server)

    def _tell(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(_SIZE_BYTES):
                self.answers += 1
                if self._losing:
                    self._losing = False
                    break
                self._flowing.wait()
                client.sendall(data)
        _close(client), _close(server)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
