"""Whether a frame is, in every byte, what a version holds: at the speed of memory.

A frame of a thousand columns takes a millisecond to hash and fifty to walk through column by
column.  So what a frame was in memory is known again by one key: a keyed XXH3-128 of the blocks
that pandas keeps its columns in, with their types, labels and index.  The same key means the same
frame; another one means nothing, as equal frames may lie in memory in other ways.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from .pandas_columns import index_column, pandas_column, zone_text
from .streams import Column, Text

__all__ = ["memory_key"]

KeyOf = Callable[[Any], bytes]
_PAGE = 4096
_OFFSET = 12  # Bytes a row of Arrow's offsets, and half as much again.


def memory_key(value: Any, key_of: KeyOf) -> bytes | None:
    """The key of a frame of pandas; ``None`` for anything else, and for one with objects in it."""
    pandas: Any = sys.modules.get("pandas")
    if pandas is None or type(value) is not getattr(pandas, "DataFrame", None):
        return None
    manager = getattr(value, "_mgr", None)
    blocks = getattr(manager, "blocks", None)
    if blocks is None or value.attrs or not value.flags.allows_duplicate_labels:
        return None
    try:
        parts: list[bytes] = [f"frame {value.shape}".encode()]
        for block in blocks:
            found = _block(pandas, block.values, key_of)
            if found is None:
                return None
            parts += found
            parts.append(block.mgr_locs.as_array.astype("<i8").tobytes())
        for index in (value.index, value.columns):
            found = _labels(pandas, index, key_of)
            if found is not None:
                parts += found
            elif not _add(index_column(index), key_of, parts):
                return None
    except Exception:  # Refused, or another pandas than we know: then it is looked at in full.
        return None
    return key_of(b"".join(len(part).to_bytes(8, "little") + part for part in parts))


def _block(pandas: Any, values: Any, key_of: KeyOf) -> list[bytes] | None:
    numpy: Any = sys.modules["numpy"]
    if isinstance(values, numpy.ndarray):  # To spell its dtype takes as long as 100 kB of it.
        return _array(values, type(values).__name__, key_of)
    said = f"{type(values).__name__} {values.dtype}"
    if isinstance(values.dtype, pandas.DatetimeTZDtype):
        said += json.dumps(zone_text(values.dtype.tz), sort_keys=True)
    raw = getattr(values, "_ndarray", None)
    if isinstance(raw, numpy.ndarray) and raw.dtype.kind in "mM":
        return _array(raw, said, key_of)
    if getattr(values.dtype, "storage", None) == "pyarrow":
        missing = "NA" if values.dtype.na_value is pandas.NA else "NaN"
        return _arrow(values.__arrow_array__(), f"{said} {missing}", key_of)
    parts = [said.encode()]
    return parts if _add(pandas_column(values), key_of, parts) else None


def _labels(pandas: Any, index: Any, key_of: KeyOf) -> list[bytes] | None:
    """The usual labels: strings that Arrow keeps, and a name that is one or none."""
    if type(index) is not pandas.Index or not isinstance(index.name, str | None):
        return None
    dtype = index.dtype
    if getattr(dtype, "storage", None) != "pyarrow":
        return None
    missing = "NA" if dtype.na_value is pandas.NA else "NaN"
    said = f"labels {dtype} {missing} {json.dumps(index.name)}"
    return _arrow(index.array.__arrow_array__(), said, key_of)


def _array(values: Any, said: str, key_of: KeyOf) -> list[bytes] | None:
    """A block as it lies in memory, in whatever order, if there are no gaps."""
    if values.dtype.kind not in "biufcmM" or values.dtype.char in "gG":
        return None
    order = "C" if values.flags.c_contiguous else "F"
    flat = values if order == "C" else values.T
    if not flat.flags.c_contiguous:
        return None
    said = f"{said} {values.dtype.str} {values.shape} {order}"
    if not flat.size:
        return [said.encode(), b""]
    raw = flat.reshape(-1).view("u1")
    # A look at each page lets the processor find many at once: the hash, which goes from one to
    # the next, is a quarter faster for it.
    raw[::_PAGE].max()
    return [said.encode(), key_of(raw)]


def _arrow(data: Any, said: str, key_of: KeyOf) -> list[bytes] | None:
    """Strings as Arrow keeps them; the same strings in other chunks have another key."""
    if str(data.type) not in ("string", "large_string"):
        return None
    parts = [f"{said} {data.type}".encode()]
    for chunk in getattr(data, "chunks", [data]):
        buffers = chunk.buffers()
        # A few rows of a long column: all of it would be hashed.
        if chunk.offset or buffers[1] is None or buffers[1].size > (len(chunk) + 64) * _OFFSET:
            return None
        parts.append(f"{len(chunk)} {chunk.offset}".encode())
        parts += [b"" if b is None else key_of(b) for b in buffers]
    return parts


def _add(column: Column, key_of: KeyOf, parts: list[bytes]) -> bool:
    """Add all that a column is; whether that can be done: objects are not what they look like."""
    if column.pickled or "kinds" in column.streams:
        return False
    parts.append(json.dumps(column.meta, sort_keys=True).encode() + b"%d" % column.length)
    for name, stream in sorted(column.streams.items()):
        parts.append(name.encode())
        if isinstance(stream, Text):
            parts += [key_of(stream.offsets.view("u1")), key_of(stream.data)]
        else:
            parts += [stream.values.dtype.str.encode(), key_of(stream.raw(0, len(stream)))]
    for below in (column.aligned, column.parts):
        for name, each in sorted(below.items()):
            parts.append(name.encode())
            if not _add(each, key_of, parts):
                return False
    return True
