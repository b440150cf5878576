"""Where a column is cut into chunks: where its content says, at about 65,536 rows.

A cut that depends on the content alone is found again after rows were inserted or removed before
it, so that all chunks but those around the edit are the ones already stored.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from pyfastcdc import FastCDC

from .scratch import distinct
from .tree import LEAF_ROWS

__all__ = ["bounds", "even_cuts", "fixed_cuts", "key_cuts", "key_score", "text_cuts"]

# Knuth's multiplicative hash: the upper bits of the product depend on all bits of the value.
_GOLDEN = 0x9E3779B97F4A7C15
_SAMPLE = 20_000
_MOST_BYTES = 8 * 1024 * 1024  # Of a chunk, on average, where the values are wide.


def even_cuts(rows: int, step: int = LEAF_ROWS) -> list[int]:
    """Return the rows of each chunk where nothing is known of the content."""
    step = max(1, step)
    full, rest = divmod(rows, step)
    return [step] * full + ([rest] if rest else [])


def fixed_cuts(data: Any, rows: int, width: int) -> list[int]:
    """Return the rows of each chunk of values of ``width`` bytes: FastCDC of their bytes."""
    step = min(LEAF_ROWS * width, _MOST_BYTES)
    if rows * width <= step // 4 or not width:
        return even_cuts(rows)
    if width * 16 > step:
        return even_cuts(rows, _MOST_BYTES // width)
    ends = [end // width for end in _content(data, step)]
    return _lengths([0, *ends, rows], rows)


def text_cuts(offsets: Any, data: Any, rows: int) -> list[int]:
    """Return the rows of each chunk of strings: FastCDC of their bytes; ``offsets`` start at 0."""
    numpy: Any = sys.modules["numpy"]
    total = int(offsets[-1]) if len(offsets) else 0
    if total <= _MOST_BYTES and (rows <= LEAF_ROWS // 4 or total < rows // 4):
        return even_cuts(rows)
    step = min(max(1024, total * LEAF_ROWS // rows), _MOST_BYTES)
    ends = numpy.fromiter(_content(data, step), "i8")
    return _lengths([0, *numpy.searchsorted(offsets, ends).tolist(), rows], rows)


def key_cuts(values: Any) -> tuple[list[int], list[int]]:
    """Cut a frame by one 64-bit column: ``(rows of each chunk, the values at the cuts)``."""
    numpy: Any = sys.modules["numpy"]
    rows = len(values)
    bits = values.view("u8")
    found: list[int] = []
    for start in range(0, rows, 1 << 16):  # A block at a time: the product is a copy.
        part = bits[start : start + (1 << 16)] * numpy.uint64(_GOLDEN)
        limit = numpy.uint64(2**64 // (LEAF_ROWS * 3 // 4))
        found.extend((numpy.flatnonzero(part < limit) + start).tolist())
    cuts, least, most = [0], LEAF_ROWS // 4, LEAF_ROWS * 3
    marks: list[int] = []
    for place in found:
        while place - cuts[-1] > most:
            cuts.append(cuts[-1] + most)
        if place - cuts[-1] >= least:
            cuts.append(place)
            marks.append(int(bits[place]))
    while rows - cuts[-1] > most:
        cuts.append(cuts[-1] + most)
    return _lengths([*cuts, rows], rows), marks


def key_score(values: Any) -> float:
    """How well a 64-bit column would do as the key: the share of distinct values in its head.

    Row numbers, which come again after an insertion with other rows, score 0.
    """
    numpy: Any = sys.modules["numpy"]
    head = values[:_SAMPLE].view("u8")
    if len(head) < 2 or bool((numpy.diff(head) == 1).all()):
        return 0.0
    return distinct(head) / len(head)


def bounds(rows: Sequence[int], low: int, high: int) -> Iterable[tuple[int, int, int]]:
    """Yield ``(chunk, its first row, its end)`` of the chunks that rows ``low:high`` touch."""
    start = 0
    for number, count in enumerate(rows):
        if start >= high:
            return
        if start + count > low and count:
            yield number, start, start + count
        start += count


def _content(data: Any, size: int) -> Iterable[int]:
    cutter = FastCDC(avg_size=size, min_size=max(64, size // 4), max_size=size * 4)
    return (chunk.offset + chunk.length for chunk in cutter.cut_buf(memoryview(data).cast("B")))


def _lengths(places: Iterable[int], rows: int) -> list[int]:
    ordered = sorted({min(place, rows) for place in places})
    return [b - a for a, b in itertools.pairwise(ordered)]
