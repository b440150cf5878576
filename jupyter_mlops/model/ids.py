"""Run ids: ULIDs (https://github.com/ulid/spec), 26 characters, sorted by time."""

from __future__ import annotations

import os
import re
import threading
import time

__all__ = ["is_ulid", "new_id", "ulid_time"]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PATTERN = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_lock = threading.Lock()
_last = 0


def new_id(now: float | None = None) -> str:
    """Return a new ULID; two made by one process in the same millisecond still sort in order."""
    global _last
    moment = int((time.time() if now is None else now) * 1000) & ((1 << 48) - 1)
    value = (moment << 80) | int.from_bytes(os.urandom(10), "big")
    if now is None:
        with _lock:
            value = max(value, _last + 1)
            _last = value
    return _encode(value)


def is_ulid(text: str) -> bool:
    """Whether ``text`` is a whole ULID in upper case."""
    return _PATTERN.fullmatch(text) is not None


def ulid_time(ulid: str) -> float:
    """Seconds since the epoch at which the ULID was made; ``ValueError`` if it is none."""
    if not is_ulid(ulid):
        raise ValueError(f"not a ULID: {ulid!r}")
    value = 0
    for character in ulid[:10]:
        value = value * 32 + _ALPHABET.index(character)
    return value / 1000


def _encode(value: int) -> str:
    characters = []
    for _ in range(26):
        value, digit = divmod(value, 32)
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))
