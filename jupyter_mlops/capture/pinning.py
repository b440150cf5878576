"""Holding a value as it is at the end of a cell, whatever the person does to it next.

Arrow and Polars are held by reference, pandas from 3 on by a shallow copy that copies on write,
everything else by a copy, as far as the time for copies goes.  What a reference holds can still be
written to past its library, through a NumPy view of the same memory: that is ``Pin.shared``, and
whoever keeps it compares digests before and after.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import Undigested
from ..snapshots import fingerprint, kind_of

__all__ = ["Copies", "NotPinned", "Pin", "marked", "pin"]

COPY_SECONDS = 0.05  # What copies may take of one cell.
_RATE = 1e9  # Bytes a second into memory that is new to the process.
_SMALL = 1_000_000  # Bytes that are copied anyway.
_OBJECT = 8  # Bytes of a reference; the object itself is not copied.
_PLAIN = (str, bytes, int, float, complex, type(None))


class NotPinned(Exception):
    """A value that may change while it is kept; the message says why it could not be copied."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A value that is held.  ``copied`` are the bytes of it that are no one else's."""

    value: Any
    copied: int = 0
    shared: bool = False


@dataclass(slots=True)
class Copies:
    """What may still be copied within a cell: seconds, and bytes that may wait at once."""

    bytes: int
    seconds: float = field(default_factory=lambda: COPY_SECONDS)

    def take(self, size: int, copy: Callable[[], Any]) -> Any:
        """A copy of something of ``size`` bytes.  Raises ``NotPinned`` where there is no time."""
        if size > self.bytes:
            raise NotPinned("it may change meanwhile, and too much waits to be kept already")
        if size > _SMALL and size / _RATE > self.seconds:
            raise NotPinned(
                f"it may change meanwhile, and to copy {size / 1e6:.0f} MB takes longer than the "
                f"{COPY_SECONDS * 1e3:.0f} ms that a cell has for that"
            )
        started = time.perf_counter()
        made = copy()
        self.seconds -= time.perf_counter() - started
        self.bytes -= size
        return made


def pin(value: Any, copies: Copies | None) -> Pin:
    """Hold a value.  Without ``copies`` nothing is copied.  Raises ``NotPinned``."""
    if type(value) is dict:
        parts = {key: pin(item, copies) for key, item in value.items()}
        return _together({key: part.value for key, part in parts.items()}, list(parts.values()))
    if type(value) in (list, tuple):
        items = [pin(item, copies) for item in value]
        return _together(type(value)(item.value for item in items), items)
    if kind_of(value) is None:
        if isinstance(value, _PLAIN):
            return Pin(value)
        raise NotPinned("it may change meanwhile")
    library = next(
        (m for m in (base.__module__.partition(".")[0] for base in type(value).__mro__)
         if m in _LIBRARIES), "",
    )  # fmt: skip
    maker = _LIBRARIES.get(library)
    if maker is None:
        raise NotPinned("it may change meanwhile")
    return maker(value, copies)


def _whole(value: Any, copies: Copies) -> Pin:
    """Hold a copy of a frame or series of pandas' with its memory.  Raises ``NotPinned``."""
    size = _size(value)
    return Pin(copies.take(size, lambda: value.copy(deep=True)), size)


def marked(
    value: Any, held: Pin, copies: Copies, namespace: Mapping[str, Any]
) -> tuple[Pin, bytes | None]:
    """A pin, and the mark by which a change is seen; of pandas a whole copy where that takes long.

    Raises ``NotPinned`` for what may change without that it would be seen.
    """
    started = time.perf_counter()
    try:
        return held, fingerprint(value, budget=copies.seconds / 2)
    except Undigested:
        pass
    finally:
        copies.seconds -= time.perf_counter() - started
    if type(value).__module__.startswith("pandas"):
        return _whole(value, copies), None
    if _is_aliased(value, namespace):
        raise NotPinned("an array shares its memory")
    return held, None


def _is_aliased(value: Any, namespace: Mapping[str, Any]) -> bool:
    """Whether an array in the namespace can write into the memory of a table of Arrow's."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or (not hasattr(value, "itercolumns") and not hasattr(value, "buffers")):
        return False
    spans = []
    for array in list(namespace.values()):
        if type(array) is numpy.ndarray and array.flags.writeable and array.nbytes:
            spans.append(numpy.lib.array_utils.byte_bounds(array))
    return any(low <= place < high for place in _places(value) for low, high in spans)


def _together(value: Any, parts: list[Pin]) -> Pin:
    return Pin(value, sum(p.copied for p in parts), any(p.shared for p in parts))


def _by_reference(value: Any, copies: Copies | None) -> Pin:
    return Pin(value, shared=True)


def _polars(value: Any, copies: Copies | None) -> Pin:
    if not hasattr(value, "clone"):
        raise NotPinned("it may change meanwhile")
    return Pin(value.clone(), shared=True)


def _pandas(value: Any, copies: Copies | None) -> Pin:
    pandas: Any = sys.modules["pandas"]
    if isinstance(value, pandas.Index):
        return Pin(value, shared=True)
    on_write = int(pandas.__version__.partition(".")[0]) >= 3
    if copies is not None:
        size = _size(value)
        if not on_write or (size <= _SMALL and size <= copies.bytes):
            return _whole(value, copies)
    if not on_write:
        raise NotPinned("it may change meanwhile: before pandas 3 a copy is a whole one")
    return Pin(value.copy(deep=False), shared=True)


def _copied(value: Any, copies: Copies | None) -> Pin:
    if copies is None:
        raise NotPinned("it may change meanwhile")
    numpy: Any = sys.modules["numpy"]
    if isinstance(value, numpy.ndarray):
        size = int(value.nbytes)
        # Of a file in memory only the values: the copy is an array.
        return Pin(copies.take(size, lambda: numpy.array(value, order="K", subok=False)), size)
    size = int(value.nnz) * (int(value.dtype.itemsize) + _OBJECT)
    return Pin(copies.take(size, value.copy), size)


_LIBRARIES: dict[str, Callable[[Any, Copies | None], Pin]] = {
    "pyarrow": _by_reference,
    "polars": _polars,
    "pandas": _pandas,
    "numpy": _copied,
    "scipy": _copied,
}


def _size(value: Any) -> int:
    used = value.memory_usage(index=True)
    return int(used if isinstance(used, int) else used.sum())


def _places(value: Any) -> list[int]:
    """Where the buffers of a table, record batch or array begin."""
    columns = list(value.itercolumns()) if hasattr(value, "itercolumns") else [value]
    found = []
    for column in columns:
        for chunk in getattr(column, "chunks", [column]):
            found += [buffer.address for buffer in chunk.buffers() if buffer is not None]
    return found
