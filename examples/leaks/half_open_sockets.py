"""Every client that hangs up leaves a socket that the server did not close.

The loop forgets to take the connection out of ``_clients`` when ``recv`` returns nothing.
"""

from __future__ import annotations

import socket

from examples.leaks._expected import Expected

_clients: list[socket.socket] = []


def accept() -> socket.socket:
    """A connection: the client's end; ours is among the clients.  (No network is needed.)"""
    ours, theirs = socket.socketpair()  # leaks
    _clients.append(ours)
    return theirs


def serve(*, close: bool) -> None:
    for client in _clients[-1:]:
        if client.recv(100) == b"" and close:
            client.close()
            _clients.remove(client)


def visit(*, close: bool) -> None:
    with accept() as browser:
        browser.sendall(b"GET / HTTP/1.1\r\n\r\n")
        serve(close=close)
    serve(close=close)


def work() -> None:
    for _ in range(10):
        visit(close=False)


def work_fixed() -> None:
    for _ in range(10):
        visit(close=True)


def close() -> None:
    for client in _clients:
        client.close()
    _clients.clear()


def leaked() -> int:
    return len(_clients)


EXPECTED = Expected(
    type="socket",
    kind="unclosed-resource",
    holder="module examples.leaks.half_open_sockets -> _clients",
    per_round=10,
)
