"""Which notebook a kernel runs, in every place that runs one.

No source is right everywhere, and some go stale when the notebook is renamed, so each is a
candidate and the first that exists as a file wins:

==================  ==========================================================================
source              who says so
==================  ==========================================================================
``runner``          ``JUPYTER_MLOPS_NOTEBOOK``, set by our own headless runner
``vscode``          ``__vsc_ipynb_file__``, set in the namespace by VS Code's Jupyter extension
``server``          ``<runtime folder>/mlops/kernel-<id>.path``, kept up to date by our Jupyter
                    Server extension when a notebook is renamed
``session``         ``JPY_SESSION_NAME``, set by Jupyter Server when it starts the kernel
``command``         the command line of the parent process: papermill, nbconvert, nbclient
==================  ==========================================================================

A candidate that does not exist is still the best name there is, where none exists: the kernel may
run on another machine than the notebook's folder.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "Notebook",
    "NotebookFinder",
    "find_notebook",
    "kernel_id",
    "notebook_argument",
    "tagged_sources",
]

_KERNEL_FILE = re.compile(r"kernel-([0-9A-Za-z-]+)\.json")
# Options of papermill and nbconvert whose value is a notebook that is written.
_OUTPUT_OPTIONS = frozenset({"--output", "-o"})
_READ_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Notebook:
    """The notebook of this kernel: absolute path, where that was learnt, whether it is there."""

    path: Path
    source: str
    exists: bool

    @property
    def headless(self) -> bool:
        """Whether a program executes it, so that no front end sends the cells' tags along."""
        return self.source in ("runner", "command")


def find_notebook(
    *,
    runner: str | None = None,
    vscode: str | None = None,
    server: str | None = None,
    session: str | None = None,
    command: Sequence[str] = (),
    command_folder: str | None = None,
    cwd: str | None = None,
    exists: Callable[[Path], bool] = os.path.isfile,
) -> Notebook | None:
    """Choose among what the sources say (see the module's table).  Pure but for ``exists``.

    ``command`` is the parent's command line, relative to ``command_folder``; it is not looked at
    where ``session`` says that a Jupyter Server started this kernel.
    """
    candidates = [
        Notebook(path, name, exists(path))
        for name, text in (
            ("runner", runner),
            ("vscode", vscode),
            ("server", server),
            ("session", session),
        )
        for path in _paths(text, cwd, exists)
    ]
    if session is None:
        argument = notebook_argument(command, command_folder or cwd, exists)
        if argument is not None:
            candidates.append(Notebook(argument, "command", True))
    return next((c for c in candidates if c.exists), candidates[0] if candidates else None)


def notebook_argument(
    command: Sequence[str], folder: str | None, exists: Callable[[Path], bool] = os.path.isfile
) -> Path | None:
    """The notebook that a command reads: its first existing ``.ipynb`` that is not an output."""
    previous = ""
    for argument in command:
        wanted = argument.endswith(".ipynb") and not argument.startswith("-")
        if wanted and previous not in _OUTPUT_OPTIONS:
            path = Path(folder or ".", argument)
            if path.is_absolute() and exists(path):
                return path
        previous = argument
    return None


def kernel_id(connection_file: str | None) -> str | None:
    """The id of a kernel, from the name of its connection file."""
    match = _KERNEL_FILE.fullmatch(Path(connection_file).name) if connection_file else None
    return match[1] if match else None


class NotebookFinder:
    """Asks all sources of a live kernel; the slow one (the parent process) only once."""

    def __init__(self, shell: Any, env: Mapping[str, str] | None = None) -> None:
        self._shell = shell
        self._env = os.environ if env is None else env
        self._parent: tuple[list[str], str | None] | None = None

    @property
    def connection_file(self) -> str | None:
        """Path of this kernel's connection file, ``None`` in plain IPython."""
        app = getattr(getattr(self._shell, "kernel", None), "parent", None)
        found = getattr(app, "connection_file", None)
        return str(found) if found else None

    def find(self) -> Notebook | None:
        """The notebook now; asked anew for each run, since notebooks are renamed."""
        vscode = self._shell.user_ns.get("__vsc_ipynb_file__")
        session = self._env.get("JPY_SESSION_NAME")
        command, folder = self._parent_command() if session is None else ([], None)
        try:
            cwd: str | None = os.getcwd()
        except OSError:
            cwd = None
        return find_notebook(
            runner=self._env.get("JUPYTER_MLOPS_NOTEBOOK"),
            vscode=vscode if isinstance(vscode, str) else None,
            server=self._server_says(),
            session=session,
            command=command,
            command_folder=folder,
            cwd=cwd,
        )

    def _server_says(self) -> str | None:
        kernel = kernel_id(self.connection_file)
        if kernel is None:
            return None
        from jupyter_core.paths import jupyter_runtime_dir

        path = Path(jupyter_runtime_dir(), "mlops", f"kernel-{kernel}.path")
        try:
            return path.read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def _parent_command(self) -> tuple[list[str], str | None]:
        if getattr(self._shell, "kernel", None) is None:
            return [], None  # Plain IPython: its parent is a person's terminal.
        if self._parent is None:
            import psutil

            try:
                parent = psutil.Process(os.getppid())
                self._parent = parent.cmdline(), parent.cwd()
            except psutil.Error:
                self._parent = [], None
        return self._parent


def tagged_sources(path: Path, tag: str) -> frozenset[str]:
    """Sources of the code cells of a notebook file that bear a tag; empty if it is not readable."""
    try:
        if path.stat().st_size > _READ_LIMIT:
            return frozenset()
        text = path.read_text(encoding="utf-8")
        cells = json.loads(text).get("cells", []) if f'"{tag}"' in text else []
        return frozenset(
            "".join(cell["source"])
            for cell in cells
            if cell.get("cell_type") == "code" and tag in cell.get("metadata", {}).get("tags", ())
        )
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return frozenset()


def _paths(text: str | None, cwd: str | None, exists: Callable[[Path], bool]) -> list[Path]:
    """The path that a source names; for a shared document also without its drive (``RTC:``)."""
    if not text or not text.endswith(".ipynb"):
        return []  # A console's session has a name that is no notebook.
    paths = [Path(cwd or os.sep, text)]
    if not os.path.isabs(text):  # The server's own path: a kernel starts in its notebook's folder.
        paths.append(Path(cwd or os.sep, Path(text).name))
    drive, colon, name = paths[0].name.partition(":")
    if colon and drive.isalpha() and len(drive) > 1:
        plain = [path.with_name(name) for path in paths]
        paths = plain if any(map(exists, plain)) else paths + plain
    return paths
