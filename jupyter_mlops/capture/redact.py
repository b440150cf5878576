"""Values that must not be written because of the name they go by."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

__all__ = ["REDACTED", "is_secret_name", "redact"]

REDACTED = "***"
_WORDS = frozenset(
    {"password", "passwd", "pwd", "passphrase", "secret", "secrets", "credential", "credentials",
     "apikey", "authtoken", "accesskey", "privatekey"}
)  # fmt: skip
_PAIRS = frozenset(
    {("api", "key"), ("access", "key"), ("secret", "key"), ("private", "key"), ("auth", "key"),
     ("account", "key"), ("encryption", "key"), ("signing", "key"), ("connection", "string")}
)  # fmt: skip
_SPLIT = re.compile(r"[^0-9A-Za-z]+|(?<=[a-z0-9])(?=[A-Z])")


def is_secret_name(name: str) -> bool:
    """Whether a name says that its value is a secret: ``password``, ``API_KEY``, ``authToken``.

    Whole words count, so ``tokenizer``, ``max_tokens`` and ``key_metric`` are not secrets.
    """
    words = [word.lower() for word in _SPLIT.split(name) if word]
    return (
        any(word in _WORDS for word in words)
        or "token" in words
        or any(pair in _PAIRS for pair in pairwise(words))
    )


def redact(name: str, value: Any) -> Any:
    """Return ``***`` for a secretly named value; a number named ``token`` is a count, no secret."""
    if value is None or not is_secret_name(name):
        return value
    number = type(value) in (int, float, bool)
    return value if number and "token" in name.lower() else REDACTED
