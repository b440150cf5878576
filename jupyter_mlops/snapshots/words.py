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


def short_words(lengths: Any, data: Any) -> tuple[Any, Text] | None:
    """``(codes, distinct strings)``, in the order in which they come first; ``None`` for others.

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
    letters = data.reshape(rows, width)
    if item == width:
        numbers = numpy.ascontiguousarray(letters).view(f"<u{item}").reshape(-1)
    else:
        numbers = letters[:, 0].astype(f"<u{item}")
        for place in range(1, width):
            numbers |= letters[:, place].astype(f"<u{item}") << numpy.array(8 * place, f"<u{item}")
    coded = dictionary_encode(pyarrow.array(numpy.require(numbers, requirements="A")))
    words = coded.dictionary.to_numpy()
    distinct = words.view("u1").reshape(len(words), item)[:, :width]
    offsets = numpy.arange(len(words) + 1, dtype="i8") * width
    return coded.indices.to_numpy(), Text(offsets, numpy.ascontiguousarray(distinct).reshape(-1))


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
