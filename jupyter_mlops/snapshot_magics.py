"""``%snapshot``, ``%restore`` and ``%diff``: faces of ``snapshots.service``.

They do what was asked for or raise: a cell that goes on without its data would be worse.
"""

from __future__ import annotations

import ast
import shlex
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any

from .errors import MlopsError, UsageError

__all__ = ["DIFF_OPTIONS", "RESTORE_OPTIONS", "SNAPSHOT_OPTIONS", "SnapshotMagics", "complete"]

# option -> (its value, its meaning); short forms beside.
SNAPSHOT_OPTIONS: dict[str, tuple[str, str]] = {
    "--name": ("NAME", "the name; by default the expression where it is one"),
    "--message": ("MESSAGE", "a sentence that says what it is"),
    "--tag": ("TAG", "a word that names this version; may be given several times"),
}
RESTORE_OPTIONS: dict[str, tuple[str, str]] = {
    "--columns": ("A,B", "only these columns"),
    "--rows": ("START:STOP", "only these rows"),
    "--to": ("FOLDER", "write a file or folder there"),
    "--trust": ("", "load pickled objects that somebody else has stored: runs their code"),
}
DIFF_OPTIONS: dict[str, tuple[str, str]] = {
    "--key": ("A,B", "match rows by these columns"),
    "--page": ("N", "show the N-th page of rows"),
    "--trust": ("", "load pickled objects that somebody else has stored: runs their code"),
}
_SHORT = {"-n": "--name", "-m": "--message", "-t": "--tag"}
_PAGE = 25


class SnapshotMagics:
    """The three magics of one shell; ``project`` says where its snapshots are."""

    def __init__(self, shell: Any, project: Callable[[], Any]) -> None:
        self.shell = shell
        self._project = project

    def snapshot(self, line: str) -> None:
        """Keep a value as the next version of a name; it is on disk when the cell goes on.

        ``%snapshot EXPR [-n NAME] [-m MESSAGE] [--tag TAG]...``

        -n, --name NAME        the name; by default the expression where it is one
        -m, --message MESSAGE  a sentence that says what it is
        -t, --tag TAG          a word that names this version; may be given several times

        Frames, series, arrays, tables, dictionaries and lists of them; a ``pathlib.Path`` is a file
        or a folder.  ``df = %restore NAME`` brings it back, ``%diff NAME@1 NAME`` compares.
        """
        try:
            expression, options = _read_snapshot(line)
            name = _one(options, "--name") or _name_of(expression)
            value = self.shell.ev(expression)
            with _told():
                from .snapshots.service import take

                message = _one(options, "--message")
                project = self._project().create()
                version = take(project, value, name, message, options["--tag"])
                self._publish(_card(version))
        except MlopsError as error:
            raise _shown(error) from None

    # IPython would replace {...} in the line: here that is a dictionary.
    snapshot._ipython_magic_no_var_expand = True  # type: ignore[attr-defined]

    def restore(self, line: str) -> Any:
        """Return the value of a snapshot: ``df = %restore NAME[@VERSION]``.

        ``%restore NAME[@VERSION] [--columns A,B] [--rows START:STOP] [--to FOLDER] [--trust]``

        --columns A,B      only these columns
        --rows START:STOP  only these rows
        --to FOLDER        write a file or folder there
        --trust            load pickled objects that somebody else has stored: runs their code

        VERSION is a number, a tag, ``latest`` or a moment such as ``2026-11-21T10:00``.
        """
        try:
            words, options = _read(line, RESTORE_OPTIONS)
            if len(words) != 1:
                raise UsageError(
                    f"%restore takes one snapshot, not {' '.join(words) or 'none'}",
                    hint="For example: df = %restore customers@3",
                )
            from .snapshots.addresses import parse_columns
            from .snapshots.service import restore

            columns = parse_columns(_one(options, "--columns"))
            found = restore(
                self._project(), words[0], columns, _one(options, "--rows"),
                trust=bool(options["--trust"]),
            )  # fmt: skip
            folder = _one(options, "--to")
            if folder is None:
                return found
            if not hasattr(found, "restore"):
                raise UsageError(
                    f"{words[0]} is neither a file nor a folder: --to does not apply",
                    hint=f"jupyter mlops snapshots export {words[0]} FILE writes it as Parquet.",
                )
            return found.restore(folder)
        except MlopsError as error:
            raise _shown(error) from None

    def diff(self, line: str) -> Any:
        """Compare two snapshots, or a snapshot with a variable: ``%diff NAME@1 df``.

        ``%diff A B [--key A,B] [--page N] [--trust]``

        --key A,B  match rows by these columns
        --page N   show the N-th page of rows
        --trust    load pickled objects that somebody else has stored: runs their code

        A plain word is a variable if there is one of that name, else a snapshot; with ``@`` it is
        always a snapshot.  ``d = %diff A B`` keeps the result: ``d.rows(0, 100)``, ``d.to_dict()``.
        """
        try:
            words, options = _read(line, DIFF_OPTIONS)
            if len(words) != 2:
                raise UsageError(
                    f"%diff compares two things, not {len(words)}",
                    hint="For example: %diff customers@3 customers",
                )
            page = _one(options, "--page") or "1"
            if not page.isdecimal() or int(page) < 1:
                raise UsageError(f"--page takes a number from 1 on, not {page!r}")
            from .snapshots.addresses import parse_columns
            from .snapshots.service import diff

            key = parse_columns(_one(options, "--key")) or []
            sides = [self._side(word) for word in words]
            found = diff(self._project(), *sides, key=key, trust=bool(options["--trust"]))
            a, b = (
                name if isinstance(side, str) else word
                for name, side, word in zip(found.names, sides, words, strict=True)
            )
            found.names = (a, b)
            found.start = (int(page) - 1) * _PAGE
            return found
        except MlopsError as error:
            raise _shown(error) from None

    def _side(self, word: str) -> Any:
        """The value of a variable or expression, else the word: a snapshot."""
        if "@" in word or "://" in word:
            return word
        if word.isidentifier():
            return self.shell.user_ns.get(word, word)
        try:
            ast.parse(word, mode="eval")
            used = {n.id for n in ast.walk(ast.parse(word)) if isinstance(n, ast.Name)}
        except SyntaxError:
            return word
        # ``sales-2024`` is a snapshot unless there is something to compute.
        known = self.shell.user_ns
        return self.shell.ev(word) if used and used & set(known) else word

    def _publish(self, data: Mapping[str, str]) -> None:
        self.shell.display_pub.publish(data=dict(data), metadata={})


def complete(words: list[str], symbol: str, names: Callable[[], list[str]]) -> list[str]:
    """What may follow in a line that begins with one of the three magics."""
    options = {"%snapshot": SNAPSHOT_OPTIONS, "%restore": RESTORE_OPTIONS, "%diff": DIFF_OPTIONS}
    known = options.get(words[0], {})
    if symbol.startswith("-"):
        return list(known)
    if words[0] == "%snapshot":
        return []
    return [*names(), *known]


def stored_names(project: Any) -> list[str]:
    """The names that have snapshots and their newest versions, from the folder alone."""
    from .snapshots.service import existing_store

    try:
        versions = existing_store(project).versions()
    except (MlopsError, OSError):
        return []
    return list(dict.fromkeys([v.name for v in versions] + [v.spec for v in versions[:200]]))


class _told:
    """Turn a failure of the disk into one of ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, OSError) and not isinstance(error, MlopsError):
            raise UsageError(f"no snapshot was taken: {error.strerror or error}") from error


def _shown(error: MlopsError) -> Exception:
    """As IPython shows a misused magic: one line, no traceback of ours."""
    from IPython.core.error import UsageError as Shown

    text = f"{error.message}. {error.hint}" if error.hint else error.message
    shown: Exception = Shown(text)
    return shown


def _read_snapshot(line: str) -> tuple[str, dict[str, list[str]]]:
    """The expression and the options; what is in brackets or quotes belongs to the expression."""
    found: dict[str, list[str]] = {name: [] for name in SNAPSHOT_OPTIONS}
    expression: list[str] = []
    at = 0
    while at < len(line):
        start, at = at, _word_end(line, at)
        word = line[start:at]
        name, equals, value = word.strip().partition("=")
        option = _SHORT.get(name, name)
        if option not in SNAPSHOT_OPTIONS:
            if word.strip().startswith("--"):
                raise UsageError(
                    f"%snapshot has no option {word.strip()}",
                    hint=f"It has {', '.join(SNAPSHOT_OPTIONS)}.",
                )
            expression.append(word)
            continue
        if not equals:
            start, at = at, _word_end(line, at)
            value = line[start:at]
        found[option].append(_unquoted(value.strip(), option))
    text = "".join(expression).strip()
    if not text:
        raise UsageError(
            "%snapshot needs something to keep", hint="For example: %snapshot df -m 'cleaned'"
        )
    return text, found


def _word_end(line: str, at: int) -> int:
    """Where the word that begins at ``at`` (with the blanks before it) ends."""
    depth, quote, seen = 0, "", False
    while at < len(line):
        c = line[at]
        if quote:
            if c == "\\":
                at += 1
            elif c == quote:
                quote = ""
        elif c in "\"'":
            quote, seen = c, True
        elif c in "([{":
            depth, seen = depth + 1, True
        elif c in ")]}":
            depth -= 1
        elif c.isspace():
            if seen and depth <= 0:
                return at
        else:
            seen = True
        at += 1
    return len(line)


def _read(
    line: str, known: Mapping[str, tuple[str, str]]
) -> tuple[list[str], dict[str, list[str]]]:
    found: dict[str, list[str]] = {name: [] for name in known}
    try:
        words = shlex.split(line, posix=True)
    except ValueError as error:
        raise UsageError(f"{line.strip()!r} cannot be read: {error}") from None
    rest: list[str] = []
    for word in (queue := iter(words)):
        name, equals, value = word.partition("=")
        if name not in known:
            if word.startswith("--"):
                raise UsageError(f"there is no option {word}", hint=f"There is {', '.join(known)}.")
            rest.append(word)
        elif not known[name][0]:
            found[name].append("yes")
        else:
            found[name].append(value if equals else _next(queue, name))
    return rest, found


def _next(words: Iterator[str], option: str) -> str:
    value = next(words, None)
    if value is None:
        raise UsageError(f"{option} needs a value")
    return value


def _unquoted(value: str, option: str) -> str:
    if not value:
        raise UsageError(f"{option} needs a value")
    if value[0] in "\"'":
        try:
            return str(ast.literal_eval(value))
        except (SyntaxError, ValueError):
            raise UsageError(f"the value of {option} is not quoted as in Python: {value}") from None
    return value


def _one(options: Mapping[str, list[str]], name: str) -> str | None:
    values = options[name]
    if len(values) > 1:
        raise UsageError(f"{name} was given {len(values)} times")
    return values[0] if values else None


def _name_of(expression: str) -> str:
    if expression.isidentifier():
        return expression
    raise UsageError(
        f"{expression} is not a plain name: which name its snapshots get must be said",
        hint=f"%snapshot {expression} -n NAME",
    )


def _card(version: Any) -> dict[str, str]:
    """What was kept, in one line, as text and HTML."""
    facts = list(_facts(version))
    text = "  ".join([version.spec, *facts])
    style = "padding:2px 12px 2px 0"
    cells = "".join(f'<span style="{style}">{escape(fact)}</span>' for fact in facts)
    html = (
        '<div class="mlops-snapshot" style="border-left:3px solid rgba(46,160,67,.8);'
        'padding:4px 10px"><span style="font-weight:600;padding-right:12px">'
        f"{escape(version.spec)}</span>{cells}</div>"
    )
    return {"text/plain": text, "text/html": html}


def _facts(version: Any) -> Iterator[str]:
    from .snapshots.durable import size_text

    if version.rows is not None:
        columns = "" if version.columns is None else f" x {version.columns:,}"
        yield f"{version.rows:,}{columns}" if columns else _rows(version.rows)
    else:
        yield version.kind
    if not version.added:
        yield "unchanged: nothing was written"
        return
    yield f"added {size_text(version.added)}"
    new = version.meta.get("new_bytes")
    if isinstance(new, int) and version.size > new:
        shared = version.size - new
        yield f"shared {size_text(shared)} of {size_text(version.size)} with what is there"
    else:
        yield f"holds {size_text(version.size)}"
    if version.tags:
        yield f"tagged {', '.join(version.tags)}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
