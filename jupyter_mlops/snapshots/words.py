"""Which of the distinct strings each row is.

Strings of one length of at most eight bytes are numbers: a table of numbers is filled in a third of
the time of one of strings.
"""

from __future__ import annotations

import sys
from typing import Any

from .scratch import dictionary_encode
from .streams import Text

__all__ = ["short_words", "words_of"]

_TABLE = 16_384  # Rows: for fewer the table takes longer than Arrow's.


def short_words(lengths: Any, data: Any) -> tuple[Any, Text] | None:
    """``(codes, distinct strings)``, in the order of their bytes or of when they came first.

    ``None`` where not all strings are of one such length.

    ``lengths`` (32 bits each) and ``data`` are the bytes that ``Text.raw`` gives.
    """
    import pyarrow

    numpy: Any = sys.modules["numpy"]
    sizes = lengths.view("<u4")
    rows = len(sizes)
    width = int(sizes[0]) if rows else 0
    if not 0 < width <= 8 or len(data) != rows * width or (sizes != width).any():
        return None
    item = next(n for n in (1, 2, 4, 8) if n >= width)
    if item == width:
        numbers = numpy.ascontiguousarray(data).view(f"<u{item}")
    else:
        # Each string and what comes after it is one number; what comes after it is taken away.
        padded = numpy.zeros(len(data) + item, "u1")
        padded[: len(data)] = data
        numbers = numpy.ndarray((rows,), f"<u{item}", padded, strides=(width,))
        numbers = numbers & numpy.array((1 << 8 * width) - 1, f"<u{item}")
    numbers = numpy.require(numbers, requirements="A")
    if width <= 2 and rows > _TABLE:
        codes, words = _by_table(numpy, numbers)
    else:
        coded = dictionary_encode(pyarrow.array(numbers))
        codes, words = coded.indices.to_numpy(), coded.dictionary.to_numpy()
    distinct = words.view("u1").reshape(len(words), item)[:, :width]
    offsets = numpy.arange(len(words) + 1, dtype="i8") * width
    return codes, Text(offsets, numpy.ascontiguousarray(distinct).reshape(-1))


def _by_table(numpy: Any, numbers: Any) -> tuple[Any, Any]:
    """Codes and distinct numbers of few bits, by a table of all that there can be."""
    size = 1 << 8 * numbers.dtype.itemsize
    present = numpy.zeros(size, bool)
    present[numbers] = True
    words = numpy.flatnonzero(present)
    ranks = numpy.zeros(size, "<u2")
    ranks[words] = numpy.arange(len(words))
    return ranks.take(numbers), words.astype(numbers.dtype)


def words_of(array: Any) -> tuple[Any, Text]:
    """``(codes, distinct strings)`` of an array of Arrow's large binaries."""
    numpy: Any = sys.modules["numpy"]
    coded = dictionary_encode(array)
    words = coded.dictionary
    offsets = numpy.frombuffer(words.buffers()[1], "i8", len(words) + 1, words.offset * 8)
    text = words.buffers()[2]
    data = (
        numpy.frombuffer(text, "u1") if text is not None and text.size else offsets[:0].view("u1")
    )
    return coded.indices.to_numpy(), Text(offsets, data)
