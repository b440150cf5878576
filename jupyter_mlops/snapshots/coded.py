"""Numbers as which of the distinct ones each is: where they are few, a half of what zstd makes.

A stored chunk of the codec ``coded`` is::

    distinct items             u32, little-endian; at most 65,536
    bytes of an item           u8: 4 or 8
    bytes of a code            u8: 1 or 2
    codec of the items, of the codes      u8 each: 0 raw, 1 zstd, 2 Blosc
    length of the items as stored         u32
    the distinct items, the codes         as stored

Items are in order of value where that is known, so that small differences stay small.  After the
last code stand zeros up to a multiple of eight: a bit shuffle leaves shorter ends as they are.
"""

from __future__ import annotations

import struct
import sys
from typing import Any, NamedTuple

from .scratch import dictionary_encode, unique

__all__ = ["HEADER", "Coded", "Parts", "codes_of", "padded", "parts_of", "values_of"]

HEADER = struct.Struct("<IBBBBI")
_MOST = 65_536  # Distinct items.
_SHARE = 4  # Rows for each distinct item, at least.
_RANGE = 1 << 18
_FEW = 64
_SAMPLE = 1024
INNER = ("raw", "zstd", "blosc")


class Coded(NamedTuple):
    """The distinct items (an array of words) and for each item its number (8 or 16 bits)."""

    items: Any
    codes: Any


class Parts(NamedTuple):
    """A stored chunk taken apart: widths, then codec, stored and raw bytes of items and codes."""

    item: int
    code: int
    items: tuple[str, memoryview, int]
    codes: tuple[str, memoryview, int]


def codes_of(raw: bytes, item: int, kind: str) -> Coded | None:
    """Return distinct items and codes of the words in ``raw``; ``None`` where they are many.

    ``item`` is 4 or 8; ``kind`` is that of NumPy's dtype (``f`` for floats, else whole numbers).
    """
    import numpy

    words = numpy.frombuffer(raw, f"i{item}")
    if len(words) < 2 * _SHARE:
        return None
    found = _floats(numpy, words, item) if kind == "f" else _whole(numpy, words, words)
    return found or _any(numpy, words, item, kind)


def padded(codes: Any) -> bytes:
    """The bytes of codes, as they are compressed."""
    rest = -len(codes) % 8 * codes.itemsize
    return bytes(codes.tobytes() + bytes(rest))


def values_of(items: bytes, codes: bytes, parts: Parts, size: int) -> bytes:
    """The ``size`` raw bytes again.  Raises ``ValueError`` where codes and items do not fit."""
    import numpy

    words = numpy.frombuffer(items, f"u{parts.item}")
    numbers = numpy.frombuffer(codes, f"<u{parts.code}")[: size // parts.item]
    if len(numbers) and int(numbers.max()) >= len(words):
        raise ValueError("codes that no item has")
    return bytes(words.take(numbers).tobytes())


def parts_of(stored: bytes | memoryview, size: int) -> Parts:
    """Take a stored chunk of ``size`` raw bytes apart.  Raises ``ValueError`` if it is not one."""
    view = memoryview(stored)
    if len(view) < HEADER.size:
        raise ValueError("cut off")
    count, item, code, items, codes, length = HEADER.unpack(view[: HEADER.size])
    if item not in (4, 8) or code not in (1, 2) or max(items, codes) >= len(INNER):
        raise ValueError("no such widths or codecs")
    if count > _MOST or size % item or HEADER.size + length > len(view):
        raise ValueError("lengths that do not fit")
    middle = HEADER.size + length
    return Parts(
        item,
        code,
        (INNER[items], view[HEADER.size : middle], count * item),
        (INNER[codes], view[middle:], -(-size // item // 8) * 8 * code),
    )


def _many(numpy: Any, words: Any) -> bool:
    """Whether a few of them show that there are too many different ones."""
    ordered = numpy.sort(words[:: max(1, len(words) // _SAMPLE)])
    return int((ordered[1:] != ordered[:-1]).sum()) > len(ordered) * 0.95


def _whole(numpy: Any, words: Any, values: Any) -> Coded | None:
    """Of whole numbers in a small range, by a table of that range."""
    low, high = int(values.min()), int(values.max())
    span = high - low + 1
    if span > min(_RANGE, 4 * len(words)):
        return None
    most = min(_MOST, len(words) // _SHARE)
    if span <= min(
        _FEW, most
    ):  # Most of them will be there: to look which costs more than it saves.
        items = numpy.arange(low, high + 1).astype(words.dtype)
        return Coded(items, numpy.subtract(values, low).astype("u1"))
    if span > most and _many(numpy, words):
        return None
    places = numpy.subtract(values, low, dtype="i8")
    present = numpy.zeros(span, bool)
    present[places] = True
    here = numpy.flatnonzero(present)
    if len(here) > most:
        return None
    width = "u1" if len(here) <= 256 else "<u2"
    if len(here) == span:
        return Coded((here + low).astype(words.dtype), places.astype(width))
    ranks = numpy.zeros(span, width)
    ranks[here] = numpy.arange(len(here))
    return Coded((here + low).astype(words.dtype), ranks.take(places))


def _floats(numpy: Any, words: Any, item: int) -> Coded | None:
    """Of floats that are whole numbers or one NaN, compared in every bit."""
    values = words.view(f"f{item}")
    few = values[:: max(1, len(values) // _SAMPLE)]
    with numpy.errstate(invalid="ignore"):
        if ((numpy.rint(few) != few) & (few == few)).any():
            return None
        whole = values.astype("i4")
    # What is no whole number, -0.0 and NaN show here.
    others = whole.astype(values.dtype).view(words.dtype) != words
    places = numpy.flatnonzero(others)
    some = len(places) > 0
    if some:
        missing = words[places[0]]
        if not _is_nan(numpy, missing, values.dtype) or (words[places] != missing).any():
            return None
        whole[places] = whole[int(others.argmin())]
        high = int(whole.max())
        if high - int(whole.min()) > _RANGE or high == 2**31 - 1:
            return None
        whole[places] = high + 1
    found = _whole(numpy, words, whole)
    if found is None:
        return None
    numbers = found.items.astype(values.dtype).view(words.dtype)
    if some:
        numbers[-1] = missing
    return Coded(numbers, found.codes)


def _is_nan(numpy: Any, word: Any, dtype: Any) -> bool:
    return bool(numpy.isnan(numpy.array([word]).view(dtype))[0])


def _any(numpy: Any, words: Any, item: int, kind: str) -> Coded | None:
    """Of any words, by a table of hashes; not where nobody has loaded Arrow, which has one."""
    pyarrow: Any = sys.modules.get("pyarrow")
    if pyarrow is None or not hasattr(pyarrow, "array"):
        return None
    if _many(numpy, words):
        return None
    array = pyarrow.array(words)
    most = min(_MOST, len(words) // _SHARE)
    if len(unique(array.slice(0, len(array) // 8))) > most // 2:
        return None
    coded = dictionary_encode(array)
    items = coded.dictionary.to_numpy()
    if len(items) > most:
        return None
    order = numpy.argsort(items.view(f"f{item}") if kind == "f" else items, kind="stable")
    ranks = numpy.empty(len(items), "u1" if len(items) <= 256 else "<u2")
    ranks[order] = numpy.arange(len(items))
    return Coded(items[order], ranks.take(coded.indices.to_numpy()))
