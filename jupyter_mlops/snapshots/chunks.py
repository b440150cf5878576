"""Chunks: runs of bytes under their BLAKE3, compressed the way that suits them.

A chunk's id is the BLAKE3 (256 bits, 64 hex digits) of its raw bytes, nothing before or after
them; how it is compressed leaves no trace in it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cache
from typing import Any

from blake3 import blake3

from ..errors import CorruptError, UsageError
from .coded import HEADER, INNER, Coded, codes_of, padded, parts_of, values_of
from .durable import size_text

__all__ = [
    "CODECS",
    "MAX_CHUNK",
    "ChunkId",
    "Compressor",
    "blake3_of",
    "bytes_of",
    "chunk_id",
    "decode_chunk",
]

ChunkId = str

MAX_CHUNK = 1 << 30
# What a footer may name, in the order of the index's numbers; all but raw describe themselves.
CODECS = ("raw", "zstd", "blosc", "coded")

_SMALL = 128  # Below that a frame's header is as long as what it saves.
_SAMPLE = 64 * 1024
_MANY = 64  # Hints.
_AS_LARGE = 4  # Times: what is rare in a short chunk may be common in one that is larger than that.
_AGREED = 16  # Columns.
_FAST_MAY_BE = 1.05  # Times as large as what zstd makes.
_FAST_CODES_MAY_BE = 1.4  # Of codes, which are small already.
_CODED_MAY_BE = 1.02  # The same of all that is coded.
_CODED = "coded "
_FEW = 16  # Rows for each distinct item.
_FIXED_WAYS = {"text": "zstd", "sizes": "bits"}
_ITEM = {2: "u2", 4: "u4", 8: "u8", 16: "c16"}


def chunk_id(raw: bytes | bytearray | memoryview) -> ChunkId:
    """Return the id of these bytes."""
    return blake3(raw).hexdigest()


def blake3_of(parts: Iterable[bytes | memoryview]) -> str:
    """BLAKE3 of the parts one after the other, as hex."""
    hasher = blake3()
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


def bytes_of(raw: bytes | memoryview) -> memoryview:
    """A buffer as bytes.  Raises ``UsageError`` for more than 1 GiB, or one with gaps."""
    view = memoryview(raw)
    if view.nbytes > MAX_CHUNK:
        raise UsageError(f"a chunk of {size_text(view.nbytes)} is more than the 1.1 GB it may have")
    if view.nbytes == 0:
        return memoryview(b"")
    if not view.c_contiguous:
        raise UsageError("a chunk must be contiguous bytes")
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


class Compressor:
    """Compresses chunks; thread-safe.

    Three ways compete: zstd, Blosc (bit or byte shuffle, then zstd or LZ4) for items of a known
    width, and either of which distinct item each is (``coded.py``).  The first sizeable chunk under
    a ``hint`` decides for all others under it that are not much larger: of a wide frame whose
    columns agreed so far, one in 16 is.  Without a hint a sample of each chunk decides.  The hint
    ``text`` means zstd, ``sizes`` a bit shuffle, ``raw`` that the bytes are compressed already; one
    that ends with ``fixed-`` and the kind of a NumPy dtype names what may be coded.
    """

    def __init__(self) -> None:
        # The way of a stream, and up to what size of a chunk it is believed.
        self._choices: dict[tuple[int, str], tuple[str, int]] = {}
        self._agreed: dict[tuple[int, str], tuple[str, int]] = {}  # By the stream: way, how often.
        self._lock = threading.Lock()
        self._deciding: dict[tuple[int, str], threading.Lock] = {}

    def encode(self, raw: bytes, itemsize: int, hint: str) -> tuple[str, bytes]:
        """Return ``(codec, stored bytes)``; never longer than ``raw``."""
        if len(raw) < _SMALL or hint == "raw":
            return "raw", raw
        item = itemsize if itemsize in _ITEM and len(raw) % itemsize == 0 else 1
        way, coded = self._way(raw, item, hint)
        if way.startswith(_CODED):
            coded = coded or codes_of(raw, item, hint[-1])
            if coded is None:  # Not as the first chunk was.
                way = _best(_middle(raw, _SAMPLE // 2), item)[0]
            else:
                stored = _packed(coded, way.removeprefix(_CODED))
                return ("coded", stored) if len(stored) < len(raw) else ("raw", raw)
        stored = _compress(raw, item, way)
        if len(stored) >= len(raw):
            return "raw", raw
        return ("zstd" if way == "zstd" else "blosc"), stored

    def _way(self, raw: bytes, item: int, hint: str) -> tuple[str, Coded | None]:
        """How to compress a chunk, and its codes where they were made to find out."""
        if hint in _FIXED_WAYS:
            return _FIXED_WAYS[hint], None
        if not hint:
            return _best(_middle(raw, _SAMPLE // 2), item)[0], None
        key = (item, hint)
        alike = (item, hint.rpartition("/")[2])
        with self._lock:
            known, size = self._choices.get(key, ("", 0))
            if not known:
                way, times = self._agreed.get(alike, ("", 0))
                if times > _AGREED and times % _AGREED:
                    known, size = way, MAX_CHUNK
                    self._choices[key] = known, size
                    self._agreed[alike] = way, times + 1
            if len(raw) <= size:
                return known, None
            deciding = self._deciding.setdefault(key, threading.Lock())
        # The second chunk of a column waits for the first: to try costs more than to compress.
        with deciding:
            known, size = self._choices.get(key, ("", 0))
            if len(raw) <= size:
                return known, None
            return self._tried(raw, item, hint, key, alike)

    def _tried(
        self, raw: bytes, item: int, hint: str, key: tuple[int, str], alike: tuple[int, str]
    ) -> tuple[str, Coded | None]:
        """Try the ways on a chunk, and let those that come after it go the best of them."""
        size = 4 * _SAMPLE
        if len(self._choices) > _MANY:
            # Of a wide frame each chunk is the first of its column: to try must cost less than it.
            size = max(_SAMPLE // 4, min(size, len(raw) // 8)) // 16 * 16
        coded = codes_of(raw, item, hint[-1]) if item in (4, 8) and "/fixed-" in hint else None
        if coded is not None:  # They will do: the others need a small sample to show it.
            # What comes not in eights Blosc's LZ4 may make twice as large: the sample ends alike.
            size = min(size, _SAMPLE) + len(raw) % (8 * item)
        elif "/codes" in hint:
            size = min(size, _SAMPLE // 2)
        if coded is not None and len(coded.items) * _FEW <= len(coded.codes):
            # The codes are the numbers without what all have alike: nothing else is much shorter.
            way = _CODED + _best_of_codes(coded)[0]
        else:
            sample = _middle(raw, size)
            way, best = _best(sample, item)
            if coded is not None:
                inner, whole = _best_of_codes(coded)
                if whole <= best * len(raw) / len(sample) * _CODED_MAY_BE:
                    way = _CODED + inner
        if len(raw) >= _SAMPLE // 16:
            with self._lock:
                self._choices[key] = way, _AS_LARGE * len(raw)
                before, times = self._agreed.get(alike, (way, 0))
                self._agreed[alike] = way, times + 1 if way == before else 1
        return way, coded


def decode_chunk(codec: str, stored: bytes | memoryview, size: int) -> bytes:
    """Return the ``size`` raw bytes.  Raises ``CorruptError``; never makes more than ``size``."""
    if size > MAX_CHUNK:
        raise CorruptError(f"a chunk claims {size} bytes, more than a chunk may have")
    if codec == "raw":
        if len(stored) != size:
            raise CorruptError("a stored chunk has another length than its footer says")
        return bytes(stored)
    if codec not in CODECS:
        raise CorruptError(f"a chunk is compressed by {codec!r}, which this version does not know")
    try:
        if codec == "coded":
            parts = parts_of(stored, size)
            items, codes = (decode_chunk(*part) for part in (parts.items, parts.codes))
            return values_of(items, codes, parts, size)
        # What comes out is as long as the frame's header says: so that is looked at before.
        if (_blosc_size if codec == "blosc" else _zstd_size)(stored) != size:
            raise ValueError("another size")
        out = bytes(_codecs()[codec].decompress(stored))
        if len(out) != size:
            raise ValueError("another size")
    except (RuntimeError, ValueError) as error:
        raise CorruptError(f"a stored chunk cannot be decompressed: {error}") from error
    return out


def _middle(raw: bytes, size: int) -> bytes:
    # A column's head is often not like the rest; a multiple of all item sizes.
    start = max(0, (len(raw) - size) // 2) // 16 * 16
    return raw[start : start + size]


def _best(sample: bytes, item: int) -> tuple[str, int]:
    """The way that suits a sample, and the bytes that it makes of it."""
    ways = ("zstd", "bits") if item == 1 else ("fast", "bits", "bytes", "zstd")
    sizes = {way: len(_compress(sample, item, way)) for way in ways}
    stored = dict(sizes)
    # LZ4 takes a third of the time, plain zstd twice as much on numbers: that must be worth it.
    if item > 1:
        sizes["zstd"] = int(sizes["zstd"] * 1.05)
        sizes["fast"] = int(sizes["fast"] / _FAST_MAY_BE)
    way = min(sizes, key=sizes.__getitem__)
    return way, stored[way]


def _best_of_codes(coded: Coded) -> tuple[str, float]:
    """The way that suits codes, and about how many bytes they and their items take."""
    width = coded.codes.itemsize
    sample = _middle(coded.codes.tobytes(), _SAMPLE // 2)
    sizes = {way: len(_compress(sample, width, way)) for way in ("fast", "bits", "zstd")}
    sizes["fast"] = int(sizes["fast"] / _FAST_CODES_MAY_BE)
    way = min(sizes, key=sizes.__getitem__)
    return way, sizes[way] * coded.codes.nbytes / len(sample) + coded.items.nbytes / 4


def _packed(coded: Coded, way: str) -> bytes:
    """A chunk by its codes, as stored."""
    item, width = coded.items.itemsize, coded.codes.itemsize
    parts = []
    for raw, size, how in (
        (coded.items.tobytes(), item, "bits"),
        (padded(coded.codes), width, way),
    ):
        codec, stored = "raw", raw
        if len(raw) >= _SMALL:
            shorter = _compress(raw, size, how)
            if len(shorter) < len(raw):
                codec, stored = ("zstd" if how == "zstd" else "blosc"), shorter
        parts.append((INNER.index(codec), stored))
    (first, items), (second, codes) = parts
    return HEADER.pack(len(coded.items), item, width, first, second, len(items)) + items + codes


def _compress(raw: bytes, item: int, way: str) -> bytes:
    codecs = _codecs()
    if way == "zstd":
        return bytes(codecs["zstd"].compress(raw, 1))
    blosc = codecs["blosc"]
    source: Any = raw
    if item > 1:
        import numpy as np

        source = np.frombuffer(raw, _ITEM[item])
    # A chunk is so short that Blosc's threads take a quarter more time.  Left to itself Blosc uses
    # them in the main thread and in no other, so that nobody else's setting changes here.
    alone = blosc.use_threads is None and threading.current_thread() is threading.main_thread()
    try:
        if alone:
            blosc.use_threads = False
        if way == "fast":
            # A block whose length is no multiple of eight items is not shuffled: so the last alone.
            return bytes(blosc.compress(source, b"lz4", 5, blosc.BITSHUFFLE, _SAMPLE))
        shuffle = blosc.BITSHUFFLE if way == "bits" else blosc.SHUFFLE
        return bytes(blosc.compress(source, b"zstd", 1, shuffle, 0))
    finally:
        if alone:
            blosc.use_threads = None


def _blosc_size(stored: bytes | memoryview) -> int:
    """The raw size in a Blosc header (bytes 4 to 8, little-endian)."""
    view = memoryview(stored)
    if len(view) < 16 or int.from_bytes(view[12:16], "little") != len(view):
        raise ValueError("not a Blosc frame of this length")
    return int.from_bytes(view[4:8], "little")


def _zstd_size(stored: bytes | memoryview) -> int:
    """The raw size in a zstd frame header (RFC 8878, 3.1.1.1)."""
    view = memoryview(stored)
    if len(view) < 6 or bytes(view[:4]) != b"\x28\xb5\x2f\xfd":
        raise ValueError("not a zstd frame")
    descriptor = view[4]
    single = bool(descriptor & 0x20)
    width = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
    field = bytes(view[start : start + width])
    if not width or len(field) != width:
        raise ValueError("a zstd frame without its size")
    return int.from_bytes(field, "little") + (256 if width == 2 else 0)


@cache
def _codecs() -> dict[str, Any]:
    # Late: numcodecs brings NumPy and a third of a second along.
    from numcodecs import blosc, zstd

    return {"blosc": blosc, "zstd": zstd}
