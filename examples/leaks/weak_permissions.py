"""Every user who signs in stays, though the cache of permissions is a WeakKeyDictionary.

The key is weak; the value is not, and the value refers to its key.  So the entry keeps
its own key alive, and no entry ever goes.
"""

from __future__ import annotations

import itertools
import weakref

from examples.leaks._expected import Expected


class User:
    def __init__(self, number: int) -> None:
        self.number = number
        self.email = f"user{number}@example.org"


class Permissions:
    def __init__(self, user: User, *, weak: bool) -> None:
        self.user = weakref.proxy(user) if weak else user
        self.may_edit = {f"/documents/{user.number}/{page}" for page in range(5)}


_permissions: weakref.WeakKeyDictionary[User, Permissions] = weakref.WeakKeyDictionary()
_numbers = itertools.count(1)


def permissions_of(user: User, *, weak: bool = False) -> Permissions:
    found = _permissions.get(user)
    if found is None:
        found = _permissions[user] = Permissions(user, weak=weak)  # leaks
    return found


def sign_in(number: int, *, weak: bool = False) -> bool:
    user = User(number)  # leaks
    return f"/documents/{number}/3" in permissions_of(user, weak=weak).may_edit


def work() -> None:
    for number in itertools.islice(_numbers, 60):
        assert sign_in(number)


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 60):
        assert sign_in(number, weak=True)


def leaked() -> int:
    return len(_permissions)


EXPECTED = Expected(
    type=("Permissions", "User"),
    kind="unbounded-cache",
    holder="module examples.leaks.weak_permissions -> _permissions",
    per_round=60,
)
