"""Promoting again over a pipeline that the person may have edited.

What was written last is kept in ``.mlops/promoted/<name>``; against it, edits on disk and the new
text are told apart.  Where that is gone (a clone), the digests in ``proof.json`` still tell which
files nobody has edited.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConflictError
from ..pipelines import POLICY_FILE
from ..project import Project
from .install import PROOF_FILE, digest
from .merge import Conflict, merge_notebooks, merge_texts, notebook_diff, text_diff
from .notebooks import notebook_text

__all__ = ["Change", "Previous", "remember"]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one file: ``status`` is ``new``, ``changed``, ``kept``, ``merged`` (with the
    person's edits) or ``removed``; ``diff`` is against what was on disk."""

    file: str
    status: str
    diff: str = ""

    def to_dict(self) -> dict[str, str]:
        """The same as plain JSON."""
        return {"file": self.file, "status": self.status, "diff": self.diff}


class Previous:
    """The pipeline that is there, if one is."""

    def __init__(self, project: Project, name: str, *, force: bool) -> None:
        self.folder = project.pipelines / name
        self._shown = project.relative(self.folder)
        self._base = project.state / "promoted" / name
        self._force = force
        self.exists = self.folder.exists()
        self._known: dict[str, str] = {}
        self._generated: dict[str, str] = {}
        if self.exists and not force:
            self._read()

    def _read(self) -> None:
        proof = self.folder / PROOF_FILE
        again = "Choose another name with --name, or replace it with --force."
        try:
            data = json.loads(proof.read_text(encoding="utf-8"))
            self._known = dict(data["files"])
            self._generated = dict(data.get("generated", data["files"]))
        except FileNotFoundError:
            raise ConflictError(
                f"{self._shown} exists and was not made by a promotion", hint=again
            ) from None
        except (ValueError, KeyError, TypeError, OSError):
            raise ConflictError(
                f"{self._shown}/{PROOF_FILE} cannot be read, so whether you have edited the "
                "pipeline is not known",
                hint=again,
            ) from None

    def merge(self, written: Mapping[str, str]) -> tuple[dict[str, str], list[Change], list[str]]:
        """Merge the new texts (by file name) with what is on disk.

        Returns the texts to write, what becomes of each file, and the files with edits in them.
        Raises ``ConflictError`` with all places that both sides changed.
        """
        result: dict[str, str] = {}
        changes: list[Change] = []
        edited: list[str] = []
        conflicts: list[Conflict] = []
        for name, ours in written.items():
            theirs = self._text(self.folder / name)
            if theirs is None and name in self._known and not self._force:
                conflicts.append(Conflict(f"{name} was deleted", None, None, ours))
                continue
            if theirs is None or self._force:
                status = "new" if theirs is None else "changed"
                result[name] = ours
                changes.append(Change(name, status, _diff(name, theirs, ours)))
                continue
            merged, found, touched = self._merge_file(name, theirs, ours)
            conflicts += found
            result[name] = merged
            if touched:
                edited.append(name)
            status = "kept" if merged == theirs else "merged" if touched else "changed"
            changes.append(Change(name, status, _diff(name, theirs, merged)))
        for name in sorted(self._known.keys() - written.keys() - {POLICY_FILE}):
            path = self.folder / name
            if path.is_file():
                if digest(path) not in (self._known[name], self._generated.get(name)):
                    theirs = self._text(path)
                    conflicts.append(Conflict(f"{name} is no longer made", None, theirs, None))
                changes.append(Change(name, "removed"))
        if conflicts:
            places = ", ".join(conflict.where for conflict in conflicts)
            raise ConflictError(
                f"{self._shown} was edited by hand where the new promotion changes it, too: "
                f"{places}",
                hint="Take one of the two into the notebook or the pipeline, or replace the "
                "pipeline with --force (the old one is kept aside). Nothing was written.",
                conflicts=[conflict.to_dict() for conflict in conflicts],
                files=sorted({conflict.where.partition(":")[0] for conflict in conflicts}),
            )
        return result, changes, edited

    def _merge_file(self, name: str, theirs: str, ours: str) -> tuple[str, list[Conflict], bool]:
        base = self._base_text(name)
        if base == ours:
            return theirs, [], theirs != ours  # not one byte of it changes
        if base is None and digest(self.folder / name) == self._generated.get(name):
            base = theirs
        if theirs == base:
            return ours, [], False
        if not name.endswith(".ipynb"):
            merged = merge_texts(base, theirs, ours, name)
            return merged.value, list(merged.conflicts), merged.edited
        try:
            mine, new = json.loads(theirs), json.loads(ours)
            old = None if base is None else json.loads(base)
            merged = merge_notebooks(old, mine, new, name)
        except (ValueError, KeyError, TypeError, AttributeError):
            return ours, [Conflict(f"{name} is no notebook", base, theirs, ours)], True
        if not merged.edited:
            return ours, list(merged.conflicts), False
        import nbformat

        node: Any = nbformat.from_dict(merged.value)  # type: ignore[no-untyped-call]
        return notebook_text(node), list(merged.conflicts), True

    def _base_text(self, name: str) -> str | None:
        """What the last promotion wrote, if it is known to be that."""
        path = self._base / name
        text = self._text(path)
        if text is None or digest(path) != self._generated.get(name):
            return None
        return text

    @staticmethod
    def _text(path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None


def remember(project: Project, name: str, written: Mapping[str, str]) -> None:
    """Keep what a promotion wrote, for the next one.  What cannot be kept is not fatal."""
    folder = project.state / "promoted" / name
    with contextlib.suppress(OSError):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        for file, text in written.items():
            (folder / file).write_text(text, encoding="utf-8")


def _diff(name: str, old: str | None, new: str) -> str:
    if old == new:
        return ""
    if name.endswith(".ipynb"):
        try:
            return notebook_diff(None if old is None else json.loads(old), json.loads(new), name)
        except (ValueError, KeyError, TypeError):
            return f"{name} is another notebook"
    return text_diff(old or "", new, name)
