"""Words of reports as Markdown shows them: what people wrote is text there, never markup."""

from __future__ import annotations

import html
import math
import re

__all__ = ["bytes_text", "cell_text", "code", "code_block", "number", "signed"]

_TICKS = re.compile(r"`+")


def cell_text(text: str) -> str:
    """Text for a cell of a table or a line: one line, no markup, no HTML, no mention of people."""
    line = " ".join(str(text).split())
    # Escaped as characters: a backslash would be shown inside of HTML, and @name would still call.
    return "".join(f"&#{ord(c)};" if c in "\\`*_{}[]#!|~@<>&" else c for c in line)


def code(text: str) -> str:
    """Inline code, also in a table.  As HTML: pipes and ticks in Markdown's own form are traps."""
    line = " ".join(str(text).split())
    escaped = html.escape(line, quote=False)
    return (
        "<code>"
        + "".join(f"&#{ord(c)};" if c in "\\`*_{}[]!|~@#:" else c for c in escaped)
        + "</code>"
    )


def code_block(text: str, language: str = "") -> str:
    """A fenced block that nothing in the text can end."""
    longest = max((len(match) for match in _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def number(value: float | None) -> str:
    """A metric with five significant digits."""
    if value is None:
        return "–"
    if math.isnan(value):
        return "NaN"
    return f"{value:.5g}"


def signed(value: float) -> str:
    """A difference, with its sign and three significant digits."""
    return f"{value:+.3g}".replace("-", "−")


def bytes_text(size: int) -> str:
    """``312 MB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} B"
