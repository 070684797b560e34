"""Every call of the payment API adds a response hook to the client that all calls share.

The hook was to log "this" response.  The client's list of hooks only grows, each response
runs all hooks so far, and each hook holds the call that it was made for.
"""

from __future__ import annotations

import itertools

import httpx

from examples.leaks._expected import Expected


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"paid": True})


client = httpx.Client(transport=httpx.MockTransport(answer), base_url="https://pay.example")
_numbers = itertools.count(1)


class Payment:
    def __init__(self, number: int) -> None:
        self.number = number
        self.log: list[str] = []

    def on_response(self, response: httpx.Response) -> None:
        self.log.append(f"{self.number}: {response.status_code}")


def pay(number: int) -> bool:
    payment = Payment(number)  # leaks
    hooks = client.event_hooks
    hooks["response"].append(payment.on_response)  # leaks
    client.event_hooks = hooks
    return bool(client.post(f"/payments/{number}").json()["paid"])


def pay_fixed(number: int) -> bool:
    """Nothing is left on the client: the response is in our hands anyway."""
    payment = Payment(number)
    response = client.post(f"/payments/{number}")
    payment.on_response(response)
    return bool(response.json()["paid"])


def work() -> None:
    for number in itertools.islice(_numbers, 20):
        assert pay(number)


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 20):
        assert pay_fixed(number)


def close() -> None:
    client.close()


def leaked() -> int:
    return len(client.event_hooks["response"])


EXPECTED = Expected(
    type=("Payment", "method"),
    kind="callback",
    holder="module examples.leaks.httpx_hooks -> client -> _event_hooks",
    per_round=20,
)
