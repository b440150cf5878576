"""Values that must not be shown because of the name they go by.

What is written to the journal passes ``journal.redaction`` in any case; this is for what is shown.
"""

from __future__ import annotations

from typing import Any

from ..journal.secret_names import is_secret_name

__all__ = ["REDACTED", "is_secret_name", "redact"]

REDACTED = "***"


def redact(name: str, value: Any) -> Any:
    """Return ``***`` for a secretly named value; a number named ``token`` is a count, no secret."""
    if value is None or not is_secret_name(name):
        return value
    number = type(value) in (int, float, bool)
    return value if number and "token" in name.lower() else REDACTED
