"""Profiles are kept in an OrderedDict; the one that was not asked for longest is dropped.

A cache written by hand, with its limit: 300 profiles, and then never more.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict

LIMIT = 300


class Profile:
    def __init__(self, user: int) -> None:
        self.user = user
        self.interests = [f"topic {(user * 7 + n) % 50}" for n in range(5)]


class ProfileCache:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.profiles: OrderedDict[int, Profile] = OrderedDict()

    def get(self, user: int) -> Profile:
        profile = self.profiles.get(user)
        if profile is None:
            profile = self.profiles[user] = Profile(user)
            if len(self.profiles) > self.limit:
                self.profiles.popitem(last=False)
        self.profiles.move_to_end(user)
        return profile


_cache = ProfileCache(LIMIT)
_users = itertools.count(1)


def work() -> None:
    for user in itertools.islice(_users, 100):
        assert _cache.get(user) is _cache.get(user)


def size() -> int:
    return len(_cache.profiles)
