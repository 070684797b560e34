"""A small shop in FastAPI.  What it does after an answer is not honest about memory.

    pip install fastapi uvicorn
    uvicorn --app-dir examples/fastapi_app app:app

It prints where to look at its memory, with the token that opens the pages.  Ask it for some orders,
as in

    for i in $(seq 60); do curl -s -X POST localhost:8000/orders/$i; curl -s localhost:8000/; done

then begin a leak report on the page "leaks", ask for some more, and read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import BackgroundTasks, FastAPI

from memscope.asgi import MemscopeMiddleware

PRICES = {"kettle": 24.5, "lamp": 39.0, "clock": 17.25, "mirror": 54.0, "vase": 12.75}

app = FastAPI(title="A small shop")
app.add_middleware(MemscopeMiddleware, debug=True, dashboard=True)


@dataclass
class Receipt:
    """What the customer is sent."""

    order: int
    lines: list[str] = field(default_factory=list)


_unsent: dict[int, Receipt] = {}


def send_receipt(order: int, things: list[str]) -> None:
    """Runs after the answer.  A receipt is to be kept until it is sent, so that it is sent again
    after an error; but nobody takes it out again."""
    receipt = Receipt(order, [f"{thing:<10}{PRICES[thing]:>8.2f}" for thing in things])
    _unsent[order] = receipt
    deliver(receipt)


def deliver(receipt: Receipt) -> None:
    """Would send a mail."""
    "\n".join(receipt.lines).encode()


@app.get("/")
async def home() -> dict[str, float]:
    return PRICES


@app.get("/search/{word}")
def search(word: str) -> list[str]:
    return [thing for thing in PRICES if word in thing]


@app.post("/orders/{order}")
async def place_order(order: int, tasks: BackgroundTasks) -> dict[str, float]:
    things = [thing for number, thing in enumerate(PRICES) if order >> number & 1]
    tasks.add_task(send_receipt, order, things)
    return {"total": sum(PRICES[thing] for thing in things)}
