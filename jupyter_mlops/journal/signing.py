"""Signatures that tell bytes pickled by this user's own session from foreign ones.

The key lies in the user's Jupyter data folder, not in the project: a project that was copied or
cloned from someone else brings no valid signatures along.  HMAC with BLAKE2b (RFC 2104, RFC 7693).
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

__all__ = ["sign", "verify"]


def sign(data: bytes | memoryview) -> str:
    """Return the signature (64 hex digits) of bytes that this process has just made."""
    return hmac.new(_key(), data, "blake2b").hexdigest()[:64]


def verify(data: bytes | memoryview, signature: str | None) -> bool:
    """Whether ``signature`` was made by a session of this user."""
    return signature is not None and hmac.compare_digest(sign(data), signature)


def _key() -> bytes:
    path = _key_path()
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Two first sessions may race: whoever links first has made the key, the other reads it.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(64))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    return path.read_bytes()


def _key_path() -> Path:
    from jupyter_core.paths import jupyter_data_dir

    return Path(jupyter_data_dir()) / "mlops" / "signing_key"
