"""What a working tree has that its commit has not, as a text that ``git apply`` accepts.

Notebooks count as changed but are not in the text: their difference is mostly outputs, and a run
has the source that was executed.  Lines that begin with ``#`` stand first and say what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .git import Head
from .git_process import Git, GitRefused

__all__ = ["Difference", "difference", "tracked_files"]

# What git calls a tree without files, by the length of its object names (hash-function-transition).
_EMPTY_TREE = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
_DIFF = (
    "diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--no-indent-heuristic",
    "--ignore-submodules=dirty",  # Looking into a submodule would read its configuration, too.
)  # fmt: skip
_FILE_LIMIT = 1024 * 1024  # Bytes; a larger new file is named only.
_NAMED = 50


@dataclass(frozen=True, slots=True)
class Difference:
    """``changed`` are paths from the top, notebooks among them; ``truncated`` counts bytes."""

    changed: tuple[str, ...]
    new: tuple[str, ...]
    text: str
    truncated: int


def tracked_files(git: Git) -> list[str]:
    """What git follows, as paths from the top with slashes.  Raises ``GitRefused``."""
    return git.paths("ls-files", "-z")


def difference(
    git: Git, top: Path, head: Head, modules: Iterable[str], tracked: set[str], limit: int
) -> Difference:
    """Compare the tree with ``head`` (before the first commit: with nothing).

    ``modules`` are imported files, as paths from the top: those that git neither follows nor
    ignores are in the text as new files.  The text is cut at ``limit`` bytes, at the end of a line.
    Raises ``GitRefused``.
    """
    commit = head.commit or _EMPTY_TREE[_name_length(git)]
    changed = git.paths(*_DIFF, "--name-only", "-z", commit, "--")
    notebooks = [name for name in changed if name.endswith(".ipynb")]
    patch, cut = b"", 0
    if len(notebooks) < len(changed):
        patch, cut = git.run(
            *_DIFF, "--patch", "--unified=3", "--inter-hunk-context=0", "--full-index",
            commit, "--", ":(top)", ":(top,exclude,glob)**/*.ipynb",
            limit=limit,
        )  # fmt: skip
    unfollowed = sorted(set(modules) - tracked)
    new = _not_ignored(git, unfollowed)
    for name in new:
        file = _as_new_file(top, name)
        kept = file[: max(0, limit - len(patch))] if not cut else b""
        cut += len(file) - len(kept)
        patch += kept
    if cut:
        end = patch.rfind(b"\n") + 1
        cut += len(patch) - end
        patch = patch[:end]
    notes = _note("changed notebooks, whose difference is mostly outputs", notebooks)
    notes += _note("imported, but ignored by git", sorted(set(unfollowed) - set(new)))
    if cut:
        gone = [n for n in changed if n not in notebooks and not _mentions(patch, n)]
        gone += [n for n in new if not _mentions(patch, n)]
        notes.append(f"# This text ends {cut} bytes early.\n")
        notes += _note("changed, beyond the end of this text", gone)
    text = "".join(notes) + patch.decode("utf-8", "replace")
    return Difference(tuple(changed), tuple(new), text, cut)


def _name_length(git: Git) -> int:
    try:
        answer, _ = git.run("rev-parse", "--show-object-format")
    except GitRefused:  # Before git 2.28 there was one format only.
        return 40
    return 64 if answer.strip() == b"sha256" else 40


def _not_ignored(git: Git, names: list[str]) -> list[str]:
    if not names:
        return []
    paths = [f":(top,literal){name}" for name in names[:1000]]
    return sorted(git.paths("ls-files", "-z", "--others", "--exclude-standard", "--", *paths))


def _as_new_file(top: Path, name: str) -> bytes:
    """A new file as git would write it."""
    path = top / name
    try:
        content = path.read_bytes() if path.stat().st_size <= _FILE_LIMIT else None
    except OSError:
        content = None
    title = os.fsencode(name)
    head = b"diff --git a/%b b/%b\nnew file mode 100644\n" % (title, title)
    if content is None or b"\0" in content or _unusual(name):
        return head + b"Binary files /dev/null and b/%b differ\n" % title
    if not content:
        return head
    lines = content.split(b"\n")
    last = lines.pop()
    body = b"".join(b"+%b\n" % line for line in lines)
    if last:
        body += b"+%b\n\\ No newline at end of file\n" % last
    count = len(lines) + bool(last)
    return head + b"--- /dev/null\n+++ b/%b\n@@ -0,0 +1,%d @@\n%b" % (title, count, body)


def _note(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    shown = ", ".join(repr(name) if _unusual(name) else name for name in names[:_NAMED])
    return [f"# Not in this text ({what}): {shown}{more}\n"]


def _mentions(patch: bytes, name: str) -> bool:
    title = os.fsencode(name)
    return b"diff --git a/%b b/%b\n" % (title, title) in patch


def _unusual(name: str) -> bool:
    return not name.isprintable() or '"' in name or "\\" in name
