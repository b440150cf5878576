"""A cell as typed, turned into plain Python without IPython.

``to_python`` does what IPython's input transformer does (line magics, shell lines, help lines,
prompts) and keeps every line where it was, so that positions in the result are positions in the
cell.  Cell magics whose body is Python are unwrapped; any other cell magic is handed back as it
is, for its effects to be judged.

Rules after ``IPython.core.inputtransformer2`` (IPython 8 and 9).
"""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from dataclasses import dataclass

__all__ = ["CellMagic", "PythonCell", "parse", "strip_tracking", "to_python"]

# Their bodies run in the person's own namespace.
_UNWRAPPED = frozenset({"time", "capture", "prun", "track", "memit", "debug", "pyinstrument"})
_HELP = re.compile(r"(%{0,2}[A-Za-z_*][\w.*]*(?:\[\d+\])*)\s*(\?\??)")
_MAGIC = re.compile(r"%{1,2}([A-Za-z_][\w.]*)[ \t]?(.*)", re.DOTALL)
_ASSIGNED = re.compile(
    r"([A-Za-z_][\w.]*(?:\[[^\]=]*\])?(?:\s*,\s*[A-Za-z_][\w.]*)*)\s*=\s*(%(?!=)|!(?!=))(.*)",
    re.DOTALL,
)
_PROMPT = re.compile(r"\s*(?:>>>|\.\.\.|In \[\d+\]:|   \.\.\.+:)(?: |$)")
_TOKENS = re.compile(
    r"""
      (?P<comment>\#.*)
    | (?P<triple>\"\"\"|''')
    | (?P<string>"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)
    | (?P<open>[\[({])
    | (?P<close>[\])}])
    | (?P<continued>\\$)
    """,
    re.VERBOSE,
)
_TRACK_LINE = re.compile(r"\s*%%track(?:\s.*)?")
_LOAD_LINE = re.compile(r"\s*%(?:re)?load_ext\s+jupyter_mlops\s*(?:#.*)?")
_OUR_LINE = re.compile(r"(\s*)%(?:snapshot|diff|runs|track)(?:\s.*)?")
_RESTORE_LINE = re.compile(r"(\s*(?:[A-Za-z_][\w.]*\s*=\s*)?)%restore\s+([^{}$]+)")


@dataclass(frozen=True, slots=True)
class CellMagic:
    """A cell magic that is not Python: ``%%name line`` over ``body``."""

    name: str
    line: str
    body: str


@dataclass(frozen=True, slots=True)
class PythonCell:
    """A cell as Python.

    ``isolated`` means that its names do not outlive it (``%%timeit``); ``stores`` are names that a
    cell magic binds (``%%capture out``); ``magic`` is set where the cell is not Python at all, and
    ``text`` is then empty.
    """

    text: str
    isolated: bool = False
    stores: tuple[str, ...] = ()
    magic: CellMagic | None = None


def to_python(source: str) -> PythonCell:
    """Return the cell as Python with the same number of lines."""
    lines = _plain_lines(source)
    isolated = False
    stores: list[str] = []
    while True:
        first = next((i for i, line in enumerate(lines) if line.strip()), None)
        if first is None or not lines[first].lstrip().startswith("%%"):
            break
        found = _MAGIC.fullmatch(lines[first].strip())
        if found is None or not lines[first].lstrip().startswith("%%"):
            break
        name, rest = found.group(1), found.group(2).strip()
        if name == "timeit":
            isolated = True
        elif name in _UNWRAPPED:
            if name == "capture":
                stores.extend(word for word in rest.split() if word.isidentifier())
        else:
            body = "\n".join(lines[first + 1 :])
            return PythonCell("", stores=tuple(stores), magic=CellMagic(name, rest, body))
        lines[first] = ""
    return PythonCell("\n".join(_transform(lines)), isolated, tuple(stores))


def parse(text: str) -> ast.Module | None:
    """Parse Python with top-level await; ``None`` where this interpreter cannot."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a string is the person's business.
            tree = compile(
                text + "\n", "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            )
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    assert isinstance(tree, ast.Module)  # noqa: S101
    return tree


def strip_tracking(source: str) -> str:
    """Return the cell without its ``%%track`` line and without ``%load_ext jupyter_mlops``.

    Our other lines go as well: what they show changes nothing.  ``df = %restore NAME`` becomes
    the call that it stands for, which runs where no magics are loaded.
    """
    kept: list[str] = []
    state = _Scanner()
    leading = True
    for line in source.replace("\r\n", "\n").split("\n"):
        if leading and _TRACK_LINE.fullmatch(line):
            continue
        if line.strip() and not line.lstrip().startswith("%%"):
            leading = False
        if state.at_statement and _LOAD_LINE.fullmatch(line):
            continue
        if state.at_statement and (ours := _OUR_LINE.fullmatch(line)):
            if ours[1]:  # It may be all that a block has.
                kept.append(f"{ours[1]}pass")
            continue
        if state.at_statement and (asked := _RESTORE_LINE.fullmatch(line)):
            line = asked[1] + (_load_call(asked[2]) or line[len(asked[1]) :])
        state.feed(line)
        kept.append(line)
    return "\n".join(kept).strip("\n")


def _load_call(text: str) -> str | None:
    """The call that ``%restore TEXT`` stands for; ``None`` for what no call does."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        return None
    specs: list[str] = []
    arguments: list[str] = []
    queue = iter(words)
    for word in queue:
        name, equals, value = word.partition("=")
        if name == "--trust":
            arguments.append("trust=True")
        elif name in ("--columns", "--rows"):
            value = value if equals else next(queue, "")
            part = [item.strip() for item in value.split(",")] if name == "--columns" else value
            arguments.append(f"{name[2:]}={part!r}")
        elif word.startswith("-"):
            return None
        else:
            specs.append(word)
    if len(specs) != 1:
        return None
    return f"__import__('jupyter_mlops').load({', '.join([repr(specs[0]), *arguments])})"


def _plain_lines(source: str) -> list[str]:
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((line for line in lines if line.strip()), "")
    if re.match(r"\s*(>>>|In \[\d+\]:)", first):
        lines = [_PROMPT.sub("", line, count=1) for line in lines]
        first = next((line for line in lines if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    if indent:  # IPython takes off the first line's indentation from each line that has it.
        lines = [line[len(indent) :] if line.startswith(indent) else line for line in lines]
    return lines


def _transform(lines: list[str]) -> list[str]:
    """Replace IPython's lines by calls, only where a logical line of Python may begin."""
    result: list[str] = []
    state = _Scanner()
    index = 0
    while index < len(lines):
        line = lines[index]
        if state.at_statement:
            count, text = _special(lines, index)
            if text is not None:
                result.append(text)
                result.extend([""] * (count - 1))
                index += count
                continue
        state.feed(line)
        result.append(line)
        index += 1
    return result


class _Scanner:
    """Just enough of Python's lexer to know where a logical line begins."""

    def __init__(self) -> None:
        self._triple: str | None = None
        self._depth = 0
        self._continued = False

    @property
    def at_statement(self) -> bool:
        return self._triple is None and self._depth == 0 and not self._continued

    def feed(self, line: str) -> None:
        self._continued = False
        position = 0
        while True:
            if self._triple is not None:
                end = _unescaped(line, self._triple, position)
                if end < 0:
                    return
                position, self._triple = end + 3, None
            found = _TOKENS.search(line, position)
            if found is None:
                return
            position = found.end()
            kind = found.lastgroup
            if kind == "comment":
                return
            if kind == "triple":
                self._triple = found.group()
            elif kind == "open":
                self._depth += 1
            elif kind == "close":
                self._depth = max(0, self._depth - 1)
            elif kind == "continued":
                self._continued = True


def _unescaped(line: str, quote: str, start: int) -> int:
    while True:
        end = line.find(quote, start)
        if end < 0:
            return -1
        slashes = end - len(line[:end].rstrip("\\"))
        if slashes % 2 == 0:
            return end
        start = end + 1


def _special(lines: list[str], index: int) -> tuple[int, str | None]:
    """Return how many lines an IPython statement takes and the Python for it, if it is one."""
    line = lines[index]
    body = line.lstrip()
    indent = line[: len(line) - len(body)]
    body = body.rstrip()
    if not body or body[0] == "#":
        return 1, None
    assigned = None
    if body[0] not in "%!?,;/":
        assigned = _ASSIGNED.fullmatch(body)
        if assigned is None:
            return 1, _help_line(indent, body)
    count = 1
    while body.endswith("\\") and index + count < len(lines):
        body = body[:-1] + lines[index + count].strip()
        count += 1
    if assigned is not None:
        assigned = _ASSIGNED.fullmatch(body)
        if assigned is None:
            return 1, None
        target, mark, rest = assigned.groups()
        call = _magic_call(rest) if mark == "%" else _shell_call("getoutput", rest)
        return count, f"{indent}{target} = {call}"
    asked = _help_line(indent, body)
    if asked is not None:
        return count, asked
    return count, _escaped(indent, body)


def _escaped(indent: str, body: str) -> str | None:
    mark, rest = body[0], body[1:]
    if mark == "%":
        return indent + _magic_call(rest.lstrip("%"))
    if mark == "!":
        if rest.startswith("!"):
            return indent + _shell_call("getoutput", rest[1:])
        return indent + _shell_call("system", rest)
    if mark == "?":
        return f"{indent}{_magic_call('pinfo ' + rest.strip('? '))}"
    words = rest.split()
    if not words:
        return None
    if mark == "/":
        return f"{indent}{words[0]}({', '.join(words[1:])})"
    if mark == ";":
        return f"{indent}{words[0]}({rest.strip()[len(words[0]) :].strip()!r})"
    return f"{indent}{words[0]}({', '.join(map(repr, words[1:]))})"


def _help_line(indent: str, body: str) -> str | None:
    found = _HELP.fullmatch(body)
    if found is None:
        return None
    return f"{indent}{_magic_call('pinfo ' + found.group(1))}"


def _magic_call(rest: str) -> str:
    name, _, line = rest.strip().partition(" ")
    return f"get_ipython().run_line_magic({name!r}, {line.strip()!r})"


def _shell_call(function: str, command: str) -> str:
    return f"get_ipython().{function}({command.strip()!r})"
