"""A cell in words, for logs and reports: its title, and text as it was last on a terminal."""

from __future__ import annotations

import re

__all__ = ["title_of", "without_colour"]

# A terminal's colours and commands (ECMA-48), and the other control characters.
_COLOUR = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TITLE_LENGTH = 72


def without_colour(text: str) -> str:
    """Text without terminal sequences and other control characters (tabs and line breaks stay)."""
    text = _COLOUR.sub("", text).replace("\r\n", "\n")
    # A bare carriage return overwrites its line, as progress bars do: the last version counts.
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    return _CONTROL.sub("", "\n".join(lines))


def title_of(source: str) -> str:
    """The first meaningful line of a cell: a comment's text or code, no magic, no blank line.

    At most 72 characters; empty where there is no such line.
    """
    chosen = ""
    for line in source.splitlines():
        stripped = line.strip()
        if not stripped.strip("#-=%~* "):
            continue
        chosen = chosen or stripped
        if not stripped.startswith(("%%", "%load_ext", "%matplotlib")):
            chosen = stripped
            break
    if chosen.startswith("#"):
        chosen = chosen.lstrip("#% ").strip()
    text = " ".join(without_colour(chosen).split())
    return text if len(text) <= _TITLE_LENGTH else text[: _TITLE_LENGTH - 3] + "..."
