"""jsonschema, without what its import costs where all its format checkers are installed.

One of them, ``rfc3987_syntax``, compiles a grammar when it is imported: a second of CPU, for
internationalised addresses that hardly any schema asks for.  Here that waits for the first one.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = ["validator_class"]

_SLOW = "rfc3987_syntax"


def validator_class() -> Any:
    """Return ``jsonschema.Draft202012Validator``."""
    if "jsonschema" in sys.modules or _SLOW in sys.modules or find_spec(_SLOW) is None:
        from jsonschema import Draft202012Validator

        return Draft202012Validator
    stand_in: Any = ModuleType(_SLOW)
    stand_in.is_valid_syntax = _is_valid_syntax
    sys.modules[_SLOW] = stand_in
    try:
        from jsonschema import Draft202012Validator
    finally:
        del sys.modules[_SLOW]
    return Draft202012Validator


def _is_valid_syntax(*arguments: Any, **options: Any) -> Any:
    return import_module(_SLOW).is_valid_syntax(*arguments, **options)
