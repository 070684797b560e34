"""A report about objects that raise and lie: none of their code runs, and they are told."""

import gc
from typing import Any

import memscope

ran: list[str] = []
closed = False


def hostile(name: str) -> Any:
    def method(*_: object, **__: object) -> Any:
        if closed:
            ran.append(name)
            raise SystemExit(name)
        return 7 if name == "__hash__" else True

    return method


NAMES = """__repr__ __str__ __len__ __sizeof__ __bool__ __iter__ __getattr__ __eq__
    __hash__
    __call__ __getitem__ __contains__ __index__ __dir__ __format__ __get__ __next__
    __lt__""".split()


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        if closed:
            ran.append(f"Meta {name}")
        return type.__getattribute__(cls, name)

    def __instancecheck__(cls, instance: object) -> bool:
        ran.append("__instancecheck__")
        return True


class Hostile(metaclass=Meta):
    maxsize = property(hostile("maxsize"))
    __class__ = property(hostile("__class__"))  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> Any:
        if closed:
            ran.append(f"__getattribute__ {name}")
        return object.__getattribute__(self, name)


for name in NAMES:
    setattr(Hostile, name, hostile(name))


class Registry:
    maxsize = property(hostile("registry.maxsize"))

    def __init__(self) -> None:
        self.entries: list[object] = []


listed: list[object] = []
keyed: dict[object, object] = {}
registry = Registry()
handlers: list[object] = []


def work() -> None:
    global closed
    closed = False
    for _ in range(20):
        one = object.__new__(Hostile)
        listed.append(one)
        registry.entries.append((one, object.__new__(Hostile)))
        keyed[len(keyed)] = object.__new__(Hostile)
        handlers.append(object.__new__(Hostile))
    closed = True


gc.collect()
for nframe in (5, 0):
    report = memscope.diagnose(work, rounds=3, nframe=nframe)
    holders = " ".join(leak.holder for leak in report.leaks)
    for name in ("listed", "keyed", "entries", "handlers"):
        assert name in holders, (name, holders)
    str(report), report.to_dict(), report.to_html()
    memscope.why_alive(listed[0])
closed = False
assert ran == [], sorted(set(ran))
