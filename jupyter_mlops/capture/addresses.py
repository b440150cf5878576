"""Where data comes from, as text: absolute paths, and addresses without their secrets."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

__all__ = ["is_address", "public_address", "source_texts"]

_LONGEST = 4096
_MOST = 100  # Of the files of one call.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
# Keys whose values let somebody in; and signatures, which do for a while.
_SECRET = re.compile(r"key|token|sig|secret|pass|pwd|auth|credential|session|sas|code", re.I)
_LONG_VALUE = 64


def is_address(text: str) -> bool:
    """Whether it is a URL and not a path on this machine."""
    return _SCHEME.match(text) is not None and not text.startswith("file:/")


def public_address(text: str) -> str:
    """An address without user, password, fragment and the values of keys that let one in."""
    try:
        parts = urlsplit(text)
        query = [
            (key, "***" if _SECRET.search(key) or len(value) > _LONG_VALUE else value)
            for key, value in parse_qsl(parts.query, keep_blank_values=True)
        ]
    except ValueError:
        return text.partition("?")[0].rpartition("@")[2]
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, urlencode(query, safe="*/:,"), ""))


def source_texts(source: Any) -> list[str]:
    """Paths (absolute) and addresses (not yet without secrets) in a reader's argument."""
    if type(source) is str:
        return [_absolute(source)] if _is_name(source) else []
    if isinstance(source, os.PathLike):
        path = os.fspath(source)
        return [_absolute(os.fsdecode(path))]
    if isinstance(source, (list, tuple)):
        return [text for item in source[:_MOST] for text in source_texts(item)]
    name = getattr(source, "name", None)
    if type(name) is str and hasattr(source, "read") and name[:1] != "<":
        return [_absolute(name)]
    return []


def _is_name(text: str) -> bool:
    """Whether a string names data; some readers take the data itself."""
    return 0 < len(text) <= _LONGEST and "\n" not in text and text.lstrip()[:1] not in "{[<"


def _absolute(text: str) -> str:
    if _SCHEME.match(text):
        return text[7:] if text.startswith("file:///") else text
    if text[:1] == "~":
        text = os.path.expanduser(text)
    return text if os.path.isabs(text) else os.path.join(os.getcwd(), text)
