"""Damage of one bit, undone: the checksums that find it also say which bit it was."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from blake3 import blake3

from ..errors import CorruptError
from .chunks import chunk_id, decode_chunk
from .manifests import manifest_json
from .packs import HEADER, TRAILER_SIZE, Entry, parse_footer
from .refs import decode_line

__all__ = ["mend_chunk", "mend_line", "mend_manifest", "mend_pack"]

_POLYNOMIAL = 0xEDB88320  # CRC-32 (ISO 3309), reflected
_LARGEST_CHUNK = 4 * 1024 * 1024
_LARGEST_FOOTER = 32 * 1024


def mend_chunk(stored: bytes, entry: Entry) -> bytes | None:
    """The chunk as it was stored, if one flipped bit is all that is wrong with it.

    A CRC is linear: the difference between the two checksums depends only on which bit is another,
    so one walk over the bits finds it (CRC-32 tells them apart up to 512 MB).
    """
    if len(stored) != entry.length or len(stored) > _LARGEST_CHUNK:
        return None
    wanted = zlib.crc32(stored) ^ entry.crc
    # What flipping the last bit of the last byte does; then bit by bit towards the beginning.
    difference = _POLYNOMIAL
    for place in range(8 * len(stored)):
        if difference == wanted:
            mended = bytearray(stored)
            mended[len(stored) - 1 - place // 8] ^= 0x80 >> (place % 8)
            found = bytes(mended)
            return found if _is(found, entry) else None
        difference = (difference >> 1) ^ (_POLYNOMIAL if difference & 1 else 0)
    return None


def mend_pack(name: str, data: bytes) -> bytes | None:
    """A pack with header, footer and trailer as they were; its chunks are not looked at."""
    trailer = data[-TRAILER_SIZE:]
    start = int.from_bytes(trailer[:8], "little")
    length = int.from_bytes(trailer[8:16], "little")

    def good(start: int, stored: bytes, trailer: bytes) -> bytes | None:
        try:
            parse_footer(name, len(data), stored, trailer)
        except CorruptError:
            return None
        return HEADER + data[len(HEADER) : start] + stored + trailer

    body = data[start : len(data) - TRAILER_SIZE]
    if found := good(start, body, trailer):
        return found
    for flipped in _flips(trailer):
        at = int.from_bytes(flipped[:8], "little")
        if len(HEADER) <= at < len(data) and (
            found := good(at, data[at : len(data) - TRAILER_SIZE], flipped)
        ):
            return found
    if len(body) == length <= _LARGEST_FOOTER:
        digest = trailer[24:56]
        for flipped in _flips(body):
            if blake3(flipped).digest() == digest:
                return good(start, flipped, trailer)
    return None


def mend_manifest(data: bytes, address: str) -> bytes | None:
    """The bytes of a manifest's file as they were."""
    return _mend(data, lambda found: manifest_json(found, address, "it"))


def mend_line(data: bytes) -> bytes | None:
    """The line of a ref, tag or tombstone as it was."""
    return _mend(data, lambda found: decode_line(found, "it"))


def _mend(data: bytes, read: Callable[[bytes], object]) -> bytes | None:
    if len(data) <= _LARGEST_FOOTER:
        for flipped in _flips(data):
            try:
                read(flipped)
            except ValueError:  # CorruptError is one
                continue
            return flipped
    return None


def _flips(data: bytes) -> Iterator[bytes]:
    """``data`` with one bit another, for each bit."""
    flipped = bytearray(data)
    for place in range(len(data)):
        for bit in range(8):
            flipped[place] ^= 1 << bit
            yield bytes(flipped)
            flipped[place] ^= 1 << bit


def _is(stored: bytes, entry: Entry) -> bool:
    try:
        return chunk_id(decode_chunk(entry.codec, stored, entry.size)) == entry.id
    except CorruptError:
        return False
