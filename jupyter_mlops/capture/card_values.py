"""How a run card writes values: as bounded JSON for its payload, as words for people."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = [
    "MARK",
    "MIME",
    "json_value",
    "one_of",
    "show_change",
    "show_count",
    "show_seconds",
    "show_size",
    "show_value",
]

MIME = "application/vnd.jupyter-mlops.run+json"
# What ``journal.redaction`` puts in a secret's place.
MARK = re.compile(r"\*\*\*\[([\w.-]{1,60}):[0-9a-f]{8}\]", re.ASCII)
_VALUE_LIMIT = 400  # Characters of one value in the payload: the card is no archive.


def json_value(value: Any, limit: int = _VALUE_LIMIT) -> Any:
    """``value`` as plain JSON, in which NaN and infinities are words.

    What would take more than ``limit`` characters becomes a text that ends in ``...``.
    """
    if value is None or isinstance(value, (bool, int)):
        return value if not isinstance(value, int) or abs(value) < 2**63 else one_of(value, limit)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, str):
        return one_of(value, limit)
    if isinstance(value, (list, tuple)) and len(value) <= limit:
        plain: Any = [json_value(item, limit) for item in value]
    elif isinstance(value, Mapping) and len(value) <= limit:
        plain = {str(key)[:limit]: json_value(item, limit) for key, item in value.items()}
    else:
        return one_of(value, limit)
    return plain if len(json.dumps(plain)) <= limit else one_of(value, limit)


def one_of(value: Any, limit: int = 60) -> str:
    """``value`` as a text of at most ``limit`` characters."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def show_value(value: Any) -> str:
    """A parameter's or metric's value, in about five digits; what a redacted one was called."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return one_of(MARK.sub(r"[\1 redacted]", value if isinstance(value, str) else repr(value)))
    if isinstance(value, float) and not (value.is_integer() and abs(value) < 1e9):
        return f"{value:.5g}"
    return str(int(value))


def show_change(change: float) -> str:
    """A difference with its sign, in about three digits: ``+0.021``, ``-1.2e-05``, ``0``."""
    if change == 0:
        return "\u00b10"
    return f"{change:+.3g}".replace("-", "\u2212", 1) if change < 0 else f"{change:+.3g}"


def show_seconds(seconds: float) -> str:
    """``12 ms``, ``3.14 s``, ``2 min 5 s``, ``3 h 7 min``."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def show_size(size: float) -> str:
    """``812 B``, ``34 kB``, ``1.2 MB``: powers of a thousand."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.5 or unit == "TB":
            return f"{size:.2g} {unit}" if size < 10 else f"{size:.0f} {unit}"
    raise AssertionError


def show_count(count: int, one: str, many: str | None = None) -> str:
    """``1 figure``, ``2 figures``, ``1,204 rows``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
