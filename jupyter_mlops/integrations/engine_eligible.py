"""Whether a notebook can be run without Jupyter's sockets, by a look at its code.

The process of the fork engine has ipykernel's own shell and kernel, so that nothing here is a
matter of right and wrong: what is looked for is what talks to a front end or to the kernel itself,
and is better run in a kernel that has both.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["obstacle"]

# Modules that need a front end's or a kernel's sockets.
_MODULES = {
    "anywidget", "bqplot", "comm", "ipycanvas", "ipykernel", "ipyleaflet", "ipympl", "ipynbname",
    "ipyparallel", "ipyvolume", "ipyvue", "ipyvuetify", "ipywidgets", "jupyter_client",
    "pythreejs", "tqdm.autonotebook", "tqdm.notebook", "zmq",
}  # fmt: skip
_NAMES = {
    "create_comm", "get_comm_manager", "get_connection_file", "get_connection_info",
    "connect_qtconsole", "tqdm_notebook",
}  # fmt: skip
_INPUT = {"getpass", "input"}
_MAGIC = re.compile(
    r"^\s*%(connect_info|debug|gui|pdb|pylab|qtconsole|subshell|"
    r"matplotlib[ \t]+(?!inline\b|agg\b|--?l)\S+)",
    re.M,
)
_IMPORT = re.compile(r"^\s*(?:from|import)[ \t]+([\w., \t]+)", re.M)
_WORD = re.compile(r"[A-Za-z_][\w.]*")
_MOST = 200  # files of the project that are looked at


def obstacle(notebook: dict[str, Any], folder: Path) -> str | None:
    """What speaks against the fork engine, as a clause after "it", or ``None``.

    ``folder`` is the working folder: modules of the project that the notebook imports are looked
    at, too.
    """
    sources = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for source in sources:
        found = _MAGIC.search(source)
        if found is not None:
            return f"it uses %{found.group(1)}"
    for text in _all("\n".join(sources), folder):
        reason = _of_text(text)
        if reason is not None:
            return reason
    return None


def _all(source: str, folder: Path) -> Iterator[str]:
    """The notebook's code, then that of the project's modules it leads to."""
    yield source
    seen: set[Path] = set()
    waiting = [source]
    while waiting and len(seen) < _MOST:
        for name in _imported(waiting.pop()):
            for path in _files(name, folder):
                if path in seen:
                    continue
                seen.add(path)
                try:
                    text = path.read_text(encoding="utf-8")
                except (OSError, ValueError):
                    continue
                yield text
                waiting.append(text)


def _imported(source: str) -> set[str]:
    found = set()
    for match in _IMPORT.finditer(source):
        for part in match.group(1).partition(" import")[0].split(","):
            word = _WORD.match(part.strip())
            if word is not None:
                found.add(word.group())
    return found


def _files(name: str, folder: Path) -> Iterator[Path]:
    place = folder
    for part in name.split("."):
        for path in (place / f"{part}.py", place / part / "__init__.py"):
            if path.is_file():
                yield path
        place = place / part
        if not place.is_dir():
            return


def _of_text(source: str) -> str | None:
    imported = _imported(source)
    for name in sorted(imported):
        if name in _MODULES or name.partition(".")[0] in _MODULES:
            return f"it imports {name}"
    words = {part for word in _WORD.findall(source) for part in word.split(".")}
    for name in sorted(_NAMES & words):
        return f"it uses {name}"
    if {"get_ipython", "kernel"} <= words and re.search(r"\.\s*kernel\b", source):
        return "it uses the kernel object"
    asked = _INPUT & words
    if asked and _calls(source, asked):
        return "it asks for input"
    return None


def _calls(source: str, names: set[str]) -> bool:
    """Whether one of ``names`` is called, and not defined, in the code."""
    lines = [
        "pass" if line.lstrip().startswith(("%", "!", "?")) else line
        for line in source.splitlines()
    ]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError):
        return any(re.search(rf"\b{name}\s*\(", source) for name in names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in names:
                return True
            if isinstance(called, ast.Attribute) and called.attr == "getpass":
                return True
    return False
