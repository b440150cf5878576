"""Which HTTP status a domain error is answered with, and what of it a client may see."""

from __future__ import annotations

import errno
import json
import math
import os
import re
from collections.abc import Mapping
from typing import Any

from ..errors import (
    ConflictError,
    CorruptError,
    GateRefusedError,
    MissingDependencyError,
    MlopsError,
    NotFoundError,
    ProjectError,
    ReplayDiffersError,
    RunError,
    ServiceError,
    UntrustedError,
    UsageError,
)

__all__ = ["error_json", "plain", "redact", "status_of"]

# The first class that fits decides: subclasses stand before their bases.
_STATUSES: tuple[tuple[type[MlopsError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (UsageError, 400),
    (GateRefusedError, 409),
    (ReplayDiffersError, 409),
    (RunError, 422),
    (UntrustedError, 403),
    (MissingDependencyError, 501),
    (CorruptError, 500),
    (ServiceError, 503),
)
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT}
# Credentials in addresses, and the forms in which tokens and passwords get into messages.
_USERINFO = re.compile(r"(?<=://)[^/\s@'\"]+@")
_NAMED = re.compile(
    r"(?i)\b(\w*(?:token|xsrf|password|secret|api_?key))(['\"]?\s*[=:]\s*['\"]?)[^\s'\"&,;)]+"
)
_SCHEME = re.compile(r"(?i)\b(bearer|basic|token)\s+[A-Za-z0-9._~+/=-]{16,}")


def status_of(error: MlopsError) -> int:
    """The HTTP status for a domain error.

    A ``ProjectError`` is a folder that cannot be written (403), a full disk (507), or a folder that
    cannot be a project (400); anything else about it is the server's own trouble (500).
    """
    if isinstance(error, ProjectError):
        # An error that came over the agent's wire has lost its cause but kept its words.
        number = getattr(error.__cause__, "errno", None)
        if number in _FORBIDDEN or any(os.strerror(n) in error.message for n in _FORBIDDEN):
            return 403
        if number in _FULL or any(os.strerror(n) in error.message for n in _FULL):
            return 507
        return 400 if "cannot be a project" in error.message else 500
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    return 500


def error_json(error: MlopsError, *secrets: str) -> dict[str, Any]:
    """``{"message", "reason", "hint", "fields"}`` with credentials taken out."""
    data = error.to_dict()
    return {
        "message": redact(str(data["message"]), *secrets),
        "reason": data["reason"],
        "hint": None if data["hint"] is None else redact(str(data["hint"]), *secrets),
        "fields": _redacted(plain(data["fields"]), secrets),
    }


def redact(text: str, *secrets: str) -> str:
    """``text`` without passwords in addresses, bearer tokens, and the given exact ``secrets``."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = _USERINFO.sub("***@", text)
    text = _SCHEME.sub(r"\1 ***", text)
    return _NAMED.sub(r"\1\2***", text)


def plain(value: Any) -> Any:
    """``value`` as strict JSON: numbers that JSON cannot express become ``null``.

    Browsers refuse ``NaN`` and ``Infinity``, and one diverged metric must not empty a panel.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return str(value)


def _redacted(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return redact(value, *secrets)
    if isinstance(value, dict):
        return {key: _redacted(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_redacted(item, secrets) for item in value]
    return value
