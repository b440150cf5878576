"""What became of a version of which something was erased, told by the records of both sides."""

from __future__ import annotations

from typing import Any, Literal

from .manifests import is_address
from .refs import Version

__all__ = ["earlier", "relation"]

Relation = Literal["same", "ours", "theirs", "both", "other"]


def earlier(version: Version) -> dict[str, dict[str, Any]]:
    """The manifests that a version had before something of it was erased: address -> note."""
    notes = version.meta.get("erased")
    found = [note for note in notes if isinstance(note, dict)] if isinstance(notes, list) else []
    return {note["manifest"]: note for note in found if is_address(note.get("manifest"))}


def relation(ours: Version, theirs: Version) -> Relation:
    """How two versions of one number go together.

    ``same``; ``ours`` or ``theirs`` is the other one of which something was erased; the same was
    erased from ``both``; or each is ``other`` data.
    """
    if ours.manifest == theirs.manifest:
        return "same"
    mine, other = earlier(ours), earlier(theirs)
    if theirs.manifest in mine:
        return "ours"
    if ours.manifest in other:
        return "theirs"
    return "both" if ours.digest == theirs.digest and mine.keys() & other.keys() else "other"
