"""Values, numbers, sizes and times as people read them, in every face the same."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

__all__ = ["count", "measured", "moment", "plain", "seconds", "signed", "size", "two", "value"]

_LENGTH = 120
# A terminal's colours and commands (ECMA-48), which captured text may hold.
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def value(item: Any, length: int = _LENGTH) -> str:
    """A parameter, metric or seed in one line."""
    if item is None:
        return "none"
    if isinstance(item, float) and math.isfinite(item):
        return f"{item:.5g}" if not item.is_integer() or abs(item) >= 1e9 else f"{item:.1f}"
    text = item if isinstance(item, str) else repr(item)
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 3] + "..."


def two(a: Any, b: Any) -> tuple[str, str]:
    """Two values with as many digits as it takes to tell them apart."""
    shown = value(a), value(b)
    if shown[0] != shown[1] or not (isinstance(a, float) and isinstance(b, float)) or a == b:
        return shown
    for digits in (7, 9, 12, 15, 17):
        shown = f"{a:.{digits}g}", f"{b:.{digits}g}"
        if shown[0] != shown[1]:
            break
    return shown


def plain(text: str) -> str:
    """Captured text without a terminal's commands and other control characters."""
    text = _ANSI.sub("", text)
    return "".join(
        c for c in text if c in "\n\t" or not ("\x00" <= c < " " or "\x7f" <= c < "\xa0")
    )


def signed(number: float | None) -> str:
    """A difference with its sign; empty where there is none."""
    return "" if number is None else f"{number:+.4g}"


def size(number: float) -> str:
    """Bytes: ``512 B``, ``1.5 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.3g} {unit}"


def seconds(number: float | None) -> str:
    """A duration: ``18 ms``, ``3.2 s``, ``3 min 5 s``."""
    if number is None:
        return "-"
    if number < 0.0995:
        return f"{number * 1000:.0f} ms"
    if number < 60:
        return f"{number:.3g} s"
    minutes, rest = divmod(round(number), 60)
    return f"{minutes} min {rest} s"


def measured(name: str, number: float) -> tuple[str, str]:
    """A resource's name and value: ``wall_seconds``, 1.5 are ``wall`` and ``1.5 s``."""
    for ending, write in (("_bytes", size), ("_seconds", seconds)):
        if name.endswith(ending):
            return name.removesuffix(ending).replace("_", " "), write(number)
    return name.replace("_", " "), value(number)


def moment(at: float) -> str:
    """A time of day in this machine's zone."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def count(number: int, noun: str) -> str:
    """``1 line``, ``3 lines``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
