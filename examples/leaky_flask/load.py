"""A client that asks the shop for pages: python load.py PORT REQUESTS [CONNECTIONS]

A process of its own, so that nothing it allocates is the server's.  Prints the
requests answered per second; fails if one is not answered with 200.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time


def page(number: int) -> tuple[str, str, bytes | None]:
    """(method, path, body) of one request; every fifth of each kind."""
    kind = number % 5
    if kind == 0:
        return "GET", "/", None
    if kind == 1:
        return "GET", f"/search?q={'aeiou'[number % 25 // 5]}", None
    if kind == 2:
        return "GET", f"/shipping/{number * 37 % 5000}", None
    if kind == 3:
        return "POST", "/echo", b"x" * (number * 101 % 20_000)
    return "GET", f"/recommendations/{number % 90}", None


def ask(port: int, numbers: range, failures: list[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for number in numbers:
        method, path, body = page(number)
        connection.request(method, path, body)
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            failures.append(f"{method} {path}: {response.status} {response.reason}")
    connection.close()


def main() -> None:
    port, requests, connections = (int(argument) for argument in [*sys.argv[1:], "4"][:3])
    failures: list[str] = []
    clients = [
        threading.Thread(target=ask, args=(port, range(first, requests, connections), failures))
        for first in range(connections)
    ]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    elapsed = time.perf_counter() - began
    if failures:
        sys.exit("\n".join(failures[:10]))
    print(requests / elapsed)


if __name__ == "__main__":
    main()
