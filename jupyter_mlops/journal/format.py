"""The journal's record format: one line each, readable with a pager, checkable by machine.

::

    J1 <crc32 of the payload, 8 hex digits> <payload length in bytes> <payload>\\n

The payload is one JSON object in UTF-8 without raw line breaks.  A torn tail (the process or the
machine died while a line was being written) is not damage: the reader stops before it and the
writer cuts it off when it opens the file again.  Anything else that does not check is reported as
``Damage`` with its place, and reading goes on at the next line.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Damage", "decode_line", "encode_record", "scan"]

_MAGIC = b"J1"


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes ``start`` to ``end`` of a journal file that are not a valid record."""

    start: int
    end: int
    reason: str


def encode_record(record: Mapping[str, Any]) -> bytes:
    """Return the line for one JSON object.

    Numbers that JSON cannot express (NaN, infinities) are written as Python's ``json`` writes them.
    Raises ``TypeError`` for values that are not JSON.
    """
    # Escaping everything outside ASCII keeps lone surrogates, which people's sources may contain,
    # from failing the write.
    payload = json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return b"%s %08x %d %s\n" % (_MAGIC, zlib.crc32(payload), len(payload), payload)


def decode_line(line: bytes) -> dict[str, Any]:
    """Return the object of one line (without its line break); ``ValueError`` says what is wrong."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or parts[0] != _MAGIC:
        raise ValueError("not a journal record")
    try:
        checksum, length = int(parts[1], 16), int(parts[2])
    except ValueError:
        raise ValueError("unreadable record head") from None
    payload = parts[3]
    if len(payload) != length:
        raise ValueError(f"record has {len(payload)} bytes, not {length}")
    if zlib.crc32(payload) != checksum:
        raise ValueError("checksum does not match")
    data = json.loads(payload)
    if not isinstance(data, dict):
        raise ValueError("record is not an object")
    return data


def scan(data: bytes, start: int = 0) -> Iterator[tuple[int, dict[str, Any] | Damage]]:
    """Yield ``(offset after the record, record or Damage)`` from ``start`` on.

    Offsets are positions in ``data``.  A last line without a line break ends the scan.
    """
    position = start
    while True:
        end = data.find(b"\n", position)
        if end < 0:
            return
        line = data[position:end]
        try:
            yield end + 1, decode_line(line)
        except ValueError as error:
            yield end + 1, Damage(position, end + 1, str(error))
        position = end + 1
