"""Small caches for values that are expensive to get, limited in size."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class Recent(Generic[K, V]):
    """The values of the `most` keys that were used last. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """None: unknown, or dropped."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key]

    def keep(self, key: K, value: V) -> V:
        """Store a value, and return it."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return value


class CachedByIdentity(Generic[T, V]):
    """What `make` gives for an object, made once as long as it is the same object. Thread-safe.

    For objects that nobody changes, such as a feature's schema, and that cannot be compared
    quickly. Up to `most` of them are kept alive. Errors of `make` are not kept.
    """

    def __init__(self, make: Callable[[T], V], most: int = 500) -> None:
        self._make = make
        self._kept: Recent[int, tuple[T, V]] = Recent(most)

    def __call__(self, thing: T) -> V:
        pair = self._kept.get(id(thing))
        if pair is not None and pair[0] is thing:
            return pair[1]
        return self._kept.keep(id(thing), (thing, self._make(thing)))[1]
