"""File names as far as a cell's text tells them.

A path is text in which ``ANY`` stands for a part that is only known when the cell runs
(``f"out/{name}.csv"`` is ``"out/" + ANY + ".csv"``).  Two paths are linked when they may name the
same file, or one may lie below the other.
"""

from __future__ import annotations

import posixpath
import re

__all__ = ["ANY", "is_local", "join", "linked", "normal"]

ANY = "\x00"


def normal(path: str) -> str:
    """Return the path in one spelling: forward slashes, no ``./``, no doubled separators."""
    return posixpath.normpath(path.replace("\\", "/")) if path else path


def is_local(path: str) -> bool:
    """Whether the text names a file rather than an address such as ``https://`` or ``s3://``."""
    return "://" not in path


def join(first: str, *rest: str) -> str:
    """Join as ``os.path.join`` does; an unknown part may be absolute, so it swallows what precedes.

    The result stays comparable: ``join("out", ANY)`` is ``"out/" + ANY``.
    """
    result = first
    for part in rest:
        result = posixpath.join(result, part.replace("\\", "/"))
    return result


def linked(first: str, second: str) -> bool:
    """Whether two paths may name the same file, or one a folder that holds the other."""
    a, b = normal(first), normal(second)
    if "." in (a, b):  # The working directory holds whatever has a relative path.
        return not (a if b == "." else b).startswith(("/", "../"))
    if ANY not in a and ANY not in b:
        return a == b or a.startswith(_folder(b)) or b.startswith(_folder(a))
    if ANY in a and ANY in b:
        return _ends_agree(a, b)
    pattern, text = (a, b) if ANY in a else (b, a)
    expression = ".*".join(re.escape(piece) for piece in pattern.split(ANY))
    if re.fullmatch(expression, text, re.DOTALL):
        return True
    # The pattern may also name a folder above the text, or a file below it.
    parents = text.split("/")
    return any(
        re.fullmatch(expression, "/".join(parents[:count]), re.DOTALL)
        for count in range(1, len(parents))
    ) or pattern.startswith(_folder(text))


def _folder(path: str) -> str:
    return path if path.endswith("/") else path + "/"


def _ends_agree(a: str, b: str) -> bool:
    heads = a.split(ANY, 1)[0], b.split(ANY, 1)[0]
    tails = a.rsplit(ANY, 1)[1], b.rsplit(ANY, 1)[1]
    return (heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])) and (
        tails[0].endswith(tails[1]) or tails[1].endswith(tails[0])
    )
