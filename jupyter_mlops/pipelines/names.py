"""Which names papermill may write into a cell."""

from __future__ import annotations

import keyword
import re

__all__ = ["is_parameter_name"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


def is_parameter_name(name: str) -> bool:
    """Whether ``name`` can stand before ``= value`` in a cell.

    papermill escapes values and not names, so a name must be an identifier and no keyword: anything
    else would be code.
    """
    return _NAME.fullmatch(name) is not None and not keyword.iskeyword(name)
