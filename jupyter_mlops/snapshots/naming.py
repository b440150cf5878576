"""Names of snapshots and tags: what they may be, and the file names they get on any system."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from blake3 import blake3

from ..errors import UsageError

__all__ = ["check_name", "check_tag", "file_name"]

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-.")
# Names that Windows keeps for devices, whatever follows their first dot.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_LONGEST = 120
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_name(name: str) -> str:
    """Return ``name``; ``UsageError`` unless it may be the name of a snapshot.

    1 to 200 characters; no ``@`` (what follows it is the version), no control characters, no
    blank at either end.
    """
    _check(name, "snapshot", "@")
    return name


def check_tag(tag: str) -> str:
    """Return ``tag``; ``UsageError`` unless it may be one.

    As a name, but not a number, not ``latest`` and nothing that begins as a date does: those say
    something else after ``@``.
    """
    _check(tag, "tag", "@")
    if tag == "latest" or re.fullmatch(r"v?[0-9]+", tag) or re.match(r"[0-9]{4}-[0-9]{2}", tag):
        raise UsageError(
            f"{tag!r} cannot be a tag: after '@' it means a version, a time or the latest",
            hint="Begin the tag with a letter.",
        )
    return tag


def file_name(name: str) -> str:
    """A file name for ``name`` that any file system takes and keeps apart from all others.

    Lower-case letters, digits and ``_-.`` stay; other bytes of its UTF-8 become ``%XX``.  A long
    name is cut and gets its BLAKE3.
    """
    data = name.encode("utf-8", "surrogatepass")
    text = "".join(chr(byte) if chr(byte) in _PLAIN else f"%{byte:02X}" for byte in data)
    if text[0] == "." or _DEVICES.fullmatch(text):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if text[-1] == ".":
        text = f"{text[:-1]}%2E"
    if len(text) > _LONGEST:
        text = f"{re.sub(r'%[0-9A-F]?$', '', text[:60])}%%{blake3(data).hexdigest()[:40]}"
    return text


def plain_name(file: str) -> str | None:
    """The name that ``file_name`` made ``file`` of; ``None`` where it was cut."""
    if "%%" in file:
        return None
    return unquote_to_bytes(file).decode("utf-8", "surrogatepass")


def _check(text: str, what: str, forbidden: str) -> None:
    if not isinstance(text, str):
        raise UsageError(f"a {what}'s name must be text, not {type(text).__name__}")
    if not text or len(text) > 200:
        raise UsageError(f"a {what}'s name must have 1 to 200 characters, not {len(text)}")
    if any(c in text for c in forbidden) or _CONTROL.search(text) or text != text.strip():
        raise UsageError(
            f"{text!r} cannot be the name of a {what}",
            hint="Leave out '@', control characters, and blanks at the ends.",
        )
