"""Strings of one short length as numbers: the words that come out are the ones that went in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.snapshots.chunking import Reader, Writer
from jupyter_mlops.snapshots.scratch import distinct
from jupyter_mlops.snapshots.streams import Column, Text
from jupyter_mlops.snapshots.words import short_words


def _text(values: list[bytes]) -> Text:
    offsets = np.cumsum([0, *map(len, values)]).astype("i8")
    return Text(offsets, np.frombuffer(b"".join(values), "u1"))


def _of(text: Text) -> list[bytes]:
    data = bytes(text.data)
    return [data[a:b] for a, b in zip(text.offsets[:-1], text.offsets[1:], strict=True)]


@given(st.integers(1, 8), st.data())
def test_words_of_every_width(width: int, data: st.DataObject) -> None:
    some = st.lists(st.binary(min_size=width, max_size=width), min_size=1, max_size=40)
    values = data.draw(some)
    found = short_words(*_text(values).raw(0, len(values)))
    assert found is not None
    codes, words = found
    assert [_of(words)[code] for code in codes] == values
    assert _of(words) == list(dict.fromkeys(values))


@pytest.mark.parametrize(
    "values", [[b"", b""], [b"ab", b"c"], [b"abc", b"", b"abc"], [b"x" * 9], []]
)
def test_others_are_left_to_the_table_of_strings(values: list[bytes]) -> None:
    assert short_words(*_text(values).raw(0, len(values))) is None


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 9])
def test_a_column_of_them_comes_back(width: int) -> None:
    kinds = [bytes([65 + n]) * width for n in range(20)] + [b"\0" * width, b"\xff" * width]
    values = [kinds[n * n % len(kinds)] for n in range(5000)]
    kept: dict[str, bytes] = {}

    class Store:
        def add(self, raw: object, *, itemsize: int = 1, hint: str = "") -> str:
            kept[str(len(kept))] = bytes(raw)  # type: ignore[call-overload]
            return str(len(kept) - 1)

        find = staticmethod(lambda raw: None)

        def whole(self, *parts: object) -> str:
            return "whole"

    node = Writer(Store()).column(Column({"kind": "x"}, 5000, {"values": _text(values)}))
    assert all("codes" in entry for entry in node["streams"]["values"]["chunks"])
    back = Reader(lambda ids: [memoryview(kept[i]) for i in ids]).text(node, "values")
    assert _of(back) == values


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3), max_size=60))
def test_distinct_words_are_counted_exactly(values: list[int]) -> None:
    assert pa.array  # The table of hashes is Arrow's.
    assert distinct(np.array(values, "u8")) == len(set(values))
