"""The record format: whatever happens to the bytes, only whole records are read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.journal import Damage, decode_line, encode_record, scan

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
records = st.dictionaries(st.text(), json_values, max_size=5)


def whole(data: bytes) -> list[dict[str, Any]]:
    return [item for _, item in scan(data) if not isinstance(item, Damage)]


@given(st.lists(records, max_size=6))
def test_what_was_written_is_read(items: list[dict[str, Any]]) -> None:
    data = b"".join(encode_record(item) for item in items)
    assert whole(data) == items


@given(st.lists(records, min_size=1, max_size=5), st.data())
def test_a_torn_tail_loses_only_the_last_record(
    items: list[dict[str, Any]], data: st.DataObject
) -> None:
    lines = [encode_record(item) for item in items]
    cut = data.draw(st.integers(0, len(lines[-1]) - 1))
    assert whole(b"".join(lines[:-1]) + lines[-1][:cut]) == items[:-1]


@given(st.lists(records, min_size=3, max_size=3), st.data())
def test_a_flipped_bit_is_reported_and_the_others_are_read(
    items: list[dict[str, Any]], data: st.DataObject
) -> None:
    lines = [encode_record(item) for item in items]
    middle = bytearray(lines[1])
    position = data.draw(st.integers(0, len(middle) - 2))
    middle[position] ^= 1 << data.draw(st.integers(0, 7))
    found = [item for _, item in scan(lines[0] + bytes(middle) + lines[2])]
    good = [item for item in found if not isinstance(item, Damage)]
    assert good[0] == items[0]
    assert good[-1] == items[2]
    # The one change a checksum cannot see is one that reads the same (upper-case hex digits).
    assert any(isinstance(item, Damage) for item in found) or good == items


@given(st.binary())
def test_foreign_bytes_never_raise(data: bytes) -> None:
    list(scan(data))


def test_offsets_lead_to_the_next_record() -> None:
    first, second = encode_record({"a": 1}), encode_record({"b": 2})
    ((end, _), _) = scan(first + second)
    assert end == len(first)
    assert [item for _, item in scan(first + second, end)] == [{"b": 2}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not a journal record"),
        (b"J2 00000000 2 {}", "not a journal record"),
        (b"J1 zz 2 {}", "unreadable record head"),
        (b"J1 00000000 3 {}", "2 bytes, not 3"),
        (b"J1 00000000 2 {}", "checksum"),
    ],
)
def test_what_is_wrong_is_said(line: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_line(line)


def test_lone_surrogates_survive() -> None:
    assert whole(encode_record({"source": "x = '\ud800'"})) == [{"source": "x = '\ud800'"}]
