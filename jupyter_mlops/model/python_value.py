"""JSON values that stand for other Python values, and know the code that makes them.

A run's parameters are JSON everywhere: on the command line, in the journal, in a schedule.  What a
notebook gets may be a date, a path or a tuple.  These are JSON values to everybody, equal to plain
ones, and only what writes the cell with the parameters asks for their ``python_code``.
"""

from __future__ import annotations

from typing import Any

__all__ = ["PythonDict", "PythonList", "PythonText", "python_code"]


class PythonText(str):
    """A text that stands for another value, such as a date."""

    python_code: str | None

    def __new__(cls, text: str, code: str | None = None) -> PythonText:
        """``code`` is an expression that needs no name but the builtins."""
        value = super().__new__(cls, text)
        value.python_code = code
        return value


class PythonList(list[Any]):
    """A list that stands for a tuple or a set, or holds such values."""

    python_code: str | None = None


class PythonDict(dict[str, Any]):
    """An object whose values stand for others."""

    python_code: str | None = None


def python_code(value: Any) -> str | None:
    """The code of a value that stands for another; ``None`` for a value that is itself."""
    code = getattr(value, "python_code", None)
    return code if isinstance(code, str) else None
