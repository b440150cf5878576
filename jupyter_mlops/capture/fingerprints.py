"""Fingerprints of values: 16 hex digits over content, and what mutable objects a value reaches.

Made before and after a cell to see what it changed.  Nothing of the person's runs here: no
``__eq__``, ``__hash__``, ``__repr__``, ``__reduce__``, property or ``__getattr__``; attributes are
read through the descriptors of ``object`` and ``type``, values of builtin types by those types' own
methods.  Nothing is kept: a walk's results are digits and addresses.

A value that holds something whose state cannot be read (a handle, a generator, an object of an
unknown extension type) has no complete fingerprint.  What such an object refers to is still
followed, with the garbage collector's eyes, so that a cursor is known to belong to its connection.
"""

from __future__ import annotations

import gc
import struct
import sys
import time
import types
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xxhash import xxh3_64

__all__ = [
    "Allowance",
    "Fingerprint",
    "Fingerprints",
    "Handler",
    "Spent",
    "Walk",
    "class_vars",
    "inherits",
    "loaded",
    "measure_rate",
    "module_of",
    "mro_of",
]

_MEGABYTE = 1 << 20
_NODE = 64  # Bytes that an object is taken to have beside its content.
_CHUNK = 4096
_LONG = 1 << 16  # Characters
_ENCODED = 1e9  # Characters a second.
_BETWEEN = "\0\x1f\0"  # Two strings; no text has it.
_SORTED = 1e8  # Bytes of objects a second.
_EVERY = 64  # Objects between two looks at the clock.
_REACHED = 5000  # Mutable objects remembered of one value.
_HIDDEN = 2000  # Objects followed through what is opaque.
_DEPTH = 12  # Of sets, classes and other values that are fingerprinted apart.

# The real ones, whatever a metaclass says.
_class_vars = type.__dict__["__dict__"].__get__
_class_mro = type.__dict__["__mro__"].__get__
_class_module = type.__dict__["__module__"].__get__


class Spent(Exception):
    """The time that may be spent is spent."""


@dataclass(slots=True)
class Allowance:
    """How long fingerprints may take: ``small`` CPU seconds, ``large`` once a megabyte was seen.

    ``rate`` is how many bytes a second are hashed.
    """

    small: float
    large: float
    rate: float = 8e9
    started: float = 0.0
    seen: int = 0  # bytes

    def __post_init__(self) -> None:
        self.started = time.thread_time()

    @property
    def spent(self) -> float:
        """CPU seconds since the beginning."""
        return time.thread_time() - self.started

    def check(self, size: int = 0, rate: float | None = None) -> None:
        """``size`` more bytes are to be read.  Raises ``Spent`` if there is no time for it."""
        self.seen += size
        limit = self.small if self.seen <= _MEGABYTE else self.large
        if self.spent + size / (rate or self.rate) > limit:
            raise Spent


def _learn(allowance: Allowance, cost: float) -> None:
    """Learning a type is done once a session: it is not what a walk costs."""
    global _to_learn
    credit = min(cost, _to_learn)
    _to_learn -= credit
    allowance.started += credit


_to_learn = 0.03  # CPU seconds for all of it: modules to import, types to recognise.


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a walk found.

    ``digits`` is ``None`` where the fingerprint would not be complete.  ``reach`` are addresses of
    the mutable objects that the value holds, itself included.  ``consumed``: it is, or holds, an
    iterator or a file, which reading changes; ``linked``: an object with a state nobody can see.
    ``cost`` is in CPU seconds.
    """

    digits: str | None
    reach: frozenset[int]
    consumed: bool = False
    linked: bool = False
    cost: float = 0.0

    def same(self, later: Fingerprint) -> bool:
        """Whether nothing changed: the content, and which objects it is made of.

        An equal object in the place of another is a change: something else may hold one of them.
        """
        return self.digits is not None and (self.digits, self.reach) == (later.digits, later.reach)


class Fingerprints:
    """The fingerprints of one moment: no code of the person's may run while it is in use.

    ``namespace`` is the notebook's, whose functions and classes are data like any other.
    """

    def __init__(self, namespace: dict[str, Any], allowance: Allowance) -> None:
        self.namespace = namespace
        self.allowance = allowance
        self.handlers: dict[int, Handler] = dict(BASIC)
        self._whole: dict[int, Fingerprint] = {}
        self._parts: dict[int, Fingerprint | None] = {}

    def of(self, value: Any) -> Fingerprint:
        """The fingerprint of a value.  Raises ``Spent``."""
        found = self._whole.get(id(value))
        if found is None:
            began = time.thread_time()
            walk = Walk(self, 0)
            walk.run(value)
            found = walk.result(time.thread_time() - began)
            self._whole[id(value)] = found
        return found

    def part(self, value: Any, depth: int) -> Fingerprint | None:
        """That of a part which many values share; ``None`` while it is being made."""
        if id(value) not in self._parts:
            self._parts[id(value)] = None
            walk = Walk(self, depth)
            walk.run(value)
            self._parts[id(value)] = walk.result(0.0)
        return self._parts[id(value)]

    def handler(self, kind: type) -> Handler:
        """What reads values of a type."""
        found = self.handlers.get(id(kind))
        if found is None:
            began = time.thread_time()
            from .fingerprint_kinds import handler_of

            found = self.handlers[id(kind)] = handler_of(kind)
            _learn(self.allowance, time.thread_time() - began)
        return found


class Walk:
    """One walk through a value: a stack instead of recursion, cycles by number."""

    def __init__(self, prints: Fingerprints, depth: int) -> None:
        self.prints = prints
        self.depth = depth
        self.stack: list[Any] = []
        self.opaque = self.consumed = self.linked = False
        self.reach: set[int] = set()
        self._hash = xxh3_64()
        self._parts: list[bytes] = []
        self._seen: dict[int, int] = {}
        self._keep: list[Any] = []  # What was made on the way would leave its address to others.
        self._hidden = 0

    def run(self, value: Any) -> None:
        """Walk through ``value``.  Raises ``Spent``."""
        prints, stack, handlers = self.prints, self.stack, self.prints.handlers
        stack.append(value)
        count = 0
        while stack:
            item = stack.pop()
            kind = type(item)
            (handlers.get(id(kind)) or prints.handler(kind))(self, item)
            count += 1
            if count == _EVERY:
                self._flush(count)
                count = 0
        self._flush(count)

    def result(self, cost: float) -> Fingerprint:
        """What was found."""
        digits = None if self.opaque else self._hash.hexdigest()
        return Fingerprint(digits, frozenset(self.reach), self.consumed, self.linked, cost)

    # What handlers call.

    def emit(self, data: bytes) -> None:
        """Content, delimited so that no other content reads the same."""
        self._parts.append(data)

    def text(self, value: str) -> None:
        """A string with its length."""
        if len(value) > _LONG:
            self.prints.allowance.check(len(value), _ENCODED)
        data = value.encode("utf-8", "surrogatepass")
        self._parts.append(b"s%d|" % len(data))
        self._parts.append(data)

    def buffer(self, data: Any, size: int, rate: float | None = None) -> None:
        """The memory of a large object, read where it lies."""
        self._flush(0)
        self.prints.allowance.check(size, rate)
        self._hash.update(data)

    def first(self, value: Any, *, mutable: bool = True) -> bool:
        """Whether this object is met for the first time; else its number stands for it."""
        number = self._seen.get(id(value))
        if number is not None:
            self._parts.append(b"#%d|" % number)
            return False
        self._seen[id(value)] = len(self._seen)
        self._keep.append(value)
        if mutable:
            self.reaches(value)
        return True

    def reaches(self, value: Any) -> None:
        """A mutable object that the value holds."""
        if len(self.reach) < _REACHED:
            self.reach.add(id(value))

    def content(self, value: Any) -> None:
        """Something made on the way: what it says counts, its address means nothing."""
        self._keep.append(value)
        walk = Walk(self.prints, self.depth + 1)
        walk.run(value)
        self.opaque |= walk.opaque
        self._parts.append(walk._hash.digest())
        self._keep.append(walk)

    def push(self, *values: Any) -> None:
        """Values to walk through."""
        self.stack.extend(values)

    def items(self, values: list[Any], tag: bytes) -> None:
        """Many values in order: plain ones in bulk."""
        self._parts.append(b"%b%d|" % (tag, len(values)))
        self.prints.allowance.check(0)
        if len(values) < 8 or not self._bulk(values):
            self.stack.extend(values)

    def unordered(self, values: list[Any]) -> None:
        """Many values, whose order says nothing (a string's hash differs between processes)."""
        kinds = set(map(id, map(type, values)))
        if kinds in (_TEXT, _INTEGER):
            self.prints.allowance.check(_NODE * len(values), _SORTED)
            self.items(sorted(values), b"o")
            return
        if self.depth >= _DEPTH:
            self.cannot(values, linked=False)
            return
        found = []
        for value in values:
            walk = Walk(self.prints, self.depth + 1)
            walk.run(value)
            self._take(walk.result(0.0))
            found.append(walk._hash.digest())
            self.prints.allowance.check(_NODE)
        self._parts.append(b"u%d|" % len(found) + b"".join(sorted(found)))

    def apart(self, value: Any, name: str) -> None:
        """A value that many others hold (a class): fingerprinted once for all of them."""
        self.text(name)
        if self.depth >= _DEPTH:
            self.opaque = True
            return
        found = self.prints.part(value, self.depth + 1)
        if found is not None:
            self._take(found)
            self._parts.append((found.digits or "").encode())

    def cannot(self, value: Any, *, consumed: bool = False, linked: bool = True) -> None:
        """What an object holds cannot be read; go on through what it refers to."""
        self.opaque = True
        self.consumed |= consumed
        self.linked |= linked
        if not self.first(value):
            return
        for referred in gc.get_referents(value):
            if self._hidden >= _HIDDEN:
                return
            if not _is_world(referred):
                self._hidden += 1
                self.stack.append(referred)

    def _take(self, found: Fingerprint) -> None:
        self.opaque |= found.digits is None
        self.consumed |= found.consumed
        self.linked |= found.linked
        if len(self.reach) < _REACHED:
            self.reach |= found.reach

    def _bulk(self, values: list[Any]) -> bool:
        """Whether all are plain, and so were taken together."""
        data: list[bytes] = []
        for start in range(0, len(values), _CHUNK):
            chunk = values[start : start + _CHUNK]
            if type(chunk[0]) is str:  # The most frequent, so no look at each one's type.
                try:
                    data.append(_BETWEEN.join(chunk).encode("utf-8", "surrogatepass"))
                except TypeError:
                    return False
                self.prints.allowance.check(len(data[-1]) + 8 * len(chunk))
                continue
            kinds = set(map(id, map(type, chunk)))
            if kinds == _FLOAT:
                data.append(array("d", chunk).tobytes())
            elif kinds <= _NUMBERS:
                try:
                    data.append(repr(chunk).encode())
                except ValueError:  # An integer of thousands of digits.
                    return False
            else:
                return False
            self.prints.allowance.check(len(data[-1]) + 8 * len(chunk))
        self._parts.append(b"b")
        self._parts.extend(data)
        return True

    def _flush(self, count: int) -> None:
        data = b"".join(self._parts)
        self._parts.clear()
        self._hash.update(data)
        self.prints.allowance.check(len(data) + _NODE * count)


Handler = Callable[[Walk, Any], None]

_TEXT = {id(str)}
_INTEGER = {id(int)}
_FLOAT = {id(float)}
_NUMBERS = {id(int), id(float), id(bool), id(type(None))}
_WORLD = {id(types.ModuleType), id(types.CodeType), id(types.FrameType)}


def class_vars(cls: type) -> types.MappingProxyType[str, Any]:
    """The class's own attributes, whatever its metaclass says."""
    return _class_vars(cls)  # type: ignore[no-any-return]


def mro_of(cls: type) -> tuple[type, ...]:
    """The class and its ancestors, whatever its metaclass says."""
    return _class_mro(cls)  # type: ignore[no-any-return]


def module_of(cls: type) -> str:
    """The module that a class says it is from."""
    module = _class_module(cls)
    return module if type(module) is str else ""


def inherits(kind: type, ancestor: type) -> bool:
    """Whether ``ancestor`` is among its ancestors, by identity: a metaclass may define ``==``."""
    return any(cls is ancestor for cls in mro_of(kind))


def _is_world(value: Any) -> bool:
    """Whether it is no part of an object but what all of them live in."""
    kind = type(value)
    if id(kind) in _WORLD or inherits(kind, type):
        return True
    return kind is dict and "__builtins__" in value


def _integer(walk: Walk, value: int) -> None:
    if -(1 << 63) <= value < 1 << 63:
        walk.emit(b"i%d|" % value)
    else:
        size = value.bit_length() // 8 + 1
        walk.emit(b"I%d|" % size + value.to_bytes(size, "little", signed=True))


def _bytes(walk: Walk, value: bytes) -> None:
    walk.emit(b"y%d|" % len(value))
    walk.buffer(value, len(value)) if len(value) > _CHUNK else walk.emit(value)


def _bytearray(walk: Walk, value: bytearray) -> None:
    if walk.first(value):
        walk.emit(b"Y%d|" % len(value))
        walk.buffer(value, len(value))


def _list(walk: Walk, value: list[Any]) -> None:
    if walk.first(value):
        walk.items(value, b"l")


def _tuple(walk: Walk, value: tuple[Any, ...]) -> None:
    if not value or walk.first(value, mutable=False):
        walk.items(list(value), b"t")


def _dict(walk: Walk, value: dict[Any, Any]) -> None:
    if walk.first(value):
        walk.prints.allowance.check(16 * len(value), _ENCODED)
        walk.items(list(value.values()), b"v")
        walk.items(list(value), b"k")


def _set(walk: Walk, value: set[Any]) -> None:
    if walk.first(value):
        walk.unordered(list(value))


def _frozenset(walk: Walk, value: frozenset[Any]) -> None:
    if walk.first(value, mutable=False):
        walk.emit(b"f")
        walk.unordered(list(value))


def _range(walk: Walk, value: range) -> None:
    walk.emit(b"r")
    walk.push(value.step, value.stop, value.start)


def _slice(walk: Walk, value: slice) -> None:
    walk.emit(b":")
    walk.push(value.step, value.stop, value.start)


def _module(walk: Walk, value: types.ModuleType) -> None:
    walk.emit(b"m")
    name = types.ModuleType.__getattribute__(value, "__dict__").get("__name__")
    walk.text(name if type(name) is str else "")


BASIC: dict[int, Handler] = {
    id(type(None)): lambda walk, value: walk.emit(b"N"),
    id(bool): lambda walk, value: walk.emit(b"T" if value else b"F"),
    id(int): _integer,
    id(float): lambda walk, value: walk.emit(b"d" + struct.pack("<d", value)),
    id(complex): lambda walk, value: walk.emit(b"c" + struct.pack("<dd", value.real, value.imag)),
    id(str): lambda walk, value: walk.text(value),
    id(bytes): _bytes,
    id(bytearray): _bytearray,
    id(list): _list,
    id(tuple): _tuple,
    id(dict): _dict,
    id(set): _set,
    id(frozenset): _frozenset,
    id(range): _range,
    id(slice): _slice,
    id(type(...)): lambda walk, value: walk.emit(b"E"),
    id(type(NotImplemented)): lambda walk, value: walk.emit(b"O"),
    id(types.ModuleType): _module,
}


def measure_rate() -> float:
    """Bytes a second that this machine hashes, at most a millisecond long."""
    data = b"\x01" * (2 * _MEGABYTE)
    began = time.thread_time()
    xxh3_64(data).digest()
    return max(1e9, len(data) / max(1e-7, time.thread_time() - began))


def loaded(name: str) -> Any:
    """A module that the person has imported; ``None`` if not."""
    return sys.modules.get(name)
