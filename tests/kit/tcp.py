"""TCP servers on loopback: one that treats connections as told, and a real HTTP proxy."""

from __future__ import annotations

import base64
import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any


class Listener(socketserver.ThreadingTCPServer):
    """A TCP server on loopback that treats every connection as told."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, treat: Callable[[socket.socket], None]) -> None:
        self._treat = treat
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        serve = partial(self.serve_forever, poll_interval=0.02)
        threading.Thread(target=serve, daemon=True).start()

    def finish_request(self, request: Any, _: object) -> None:
        with contextlib.suppress(OSError):
            self._treat(request)

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


def carry(near: socket.socket, address: str, whole: threading.Event | None = None) -> None:
    """Carry all that is said to an address and back, where `whole` is set or not given."""
    host, _, port = address.rpartition(":")
    far = socket.create_connection((host, int(port)))

    def pass_on(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if whole:
                    whole.wait()
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    with far:
        back = threading.Thread(target=pass_on, args=(far, near), daemon=True)
        back.start()
        pass_on(near, far)
        back.join()


class Proxy(Listener):
    """Tunnels by CONNECT to what `names` has, and to nothing else.

    `names` has the real `host:port` of each one that may be asked for. With `login`, `ada:word`,
    it serves those who give it; `refuse` is a status line for everybody, such as "403 Forbidden".
    """

    def __init__(self, names: Mapping[str, str], login: str = "", refuse: str = "") -> None:
        self.names, self.refuse = dict(names), refuse
        self.login = base64.b64encode(login.encode()).decode()
        self.asked: list[str] = []  # what was tunnelled to
        super().__init__(self._serve)

    def _status(self, target: str, headers: str) -> str:
        if self.refuse:
            return self.refuse
        if self.login and f"proxy-authorization: basic {self.login}".lower() not in headers.lower():
            return "407 Proxy Authentication Required"
        return "200 OK" if target in self.names else "502 Bad Gateway"

    def _serve(self, near: socket.socket) -> None:
        head = near.recv(65536).decode("latin-1")
        if not head:
            return
        target = head.split()[1]
        status = self._status(target, head)
        near.sendall(f"HTTP/1.1 {status}\r\nVia: test\r\n\r\n".encode())
        if status.startswith("200"):
            self.asked.append(target)
            carry(near, self.names[target])
