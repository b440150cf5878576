"""Which files and addresses a cell reads, and which frame came from where.

Two ways of seeing: Python's audit event ``open``, and wrapped readers for what opens files
elsewhere.  What neither sees, such as a read by a shell command, stays unknown.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .addresses import is_address, public_address, source_texts
from .readers import Readers

__all__ = ["FileWatch", "Look", "Opened", "hear_code", "not_watched"]

_MOST = 500  # Files named of one cell.
_CODE = (
    ".py", ".pyc", ".pyi", ".pyx", ".so", ".pyd", ".dll", ".dylib", ".ttf", ".otf", ".afm",
    ".mplstyle",
)  # fmt: skip
_SYSTEM = (
    "/proc/", "/dev/", "/sys/", "/run/user/", "/etc/", "/lib/", "/lib64/", "/usr/lib/",
    "/usr/share/", "/System/",
)  # fmt: skip
_INSIDE = tuple(
    f"{os.sep}{name}{os.sep}"
    for name in (".mlops", ".git", ".ipynb_checkpoints", "__pycache__", ".ssh", ".aws", ".azure",
                 ".kube", ".gnupg", ".docker", ".kaggle", ".mlflow", ".huggingface")
)  # fmt: skip
# What lets somebody in is nobody's data, and the digest of a short secret would tell it.
_SECRETS = frozenset(
    {".env", ".netrc", "_netrc", ".pgpass", ".databrickscfg", "token", "credentials", "kaggle.json"}
)
_WRITES = frozenset("wax+")
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR


@dataclass(frozen=True, slots=True)
class Opened:
    """A file, folder or address that a cell read; ``how`` is ``opened`` or ``read``."""

    path: str
    how: str


class Look:
    """What is seen from one ``begin`` to its ``end``: paths as they came, and how."""

    __slots__ = ("seen", "written")

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.written: set[str] = set()

    def add(self, path: str, how: str) -> None:
        """A path was read; what the cell wrote itself is no input."""
        if len(self.seen) < _MOST and path not in self.written:
            if how == "read":
                self.seen[path] = how
            else:
                self.seen.setdefault(path, how)


class FileWatch:
    """Sees what cells read; ``install`` puts it in place, ``uninstall`` takes it away.

    ``exclude`` are folders whose files are nobody's data, such as the project's state.
    """

    def __init__(self, exclude: Iterable[Path | str] = ()) -> None:
        self._excluded = (*_excluded(), *(os.path.join(os.path.abspath(p), "") for p in exclude))
        self._looks: tuple[Look, ...] = ()
        self._sources: dict[int, tuple[weakref.ref[Any], tuple[str, ...]]] = {}
        self._readers = Readers(self._note)

    def install(self) -> None:
        """Wrap the readers of data; listen to Python's opening of files while a cell runs."""
        _add_hook()
        self._readers.install()

    def uninstall(self) -> None:
        """Put the readers back.  The audit hook stays, as it must, and does nothing."""
        self._looks = ()
        self._listen()
        self._readers.uninstall()
        self._sources.clear()

    def begin(self) -> Look:
        """A cell, or a block in one, begins; give what is returned to its ``end``."""
        look = Look()
        self._looks = (*self._looks, look)
        self._listen()
        return look

    def end(self, look: Look | None = None) -> list[Opened]:
        """It has ended (without ``look`` the innermost): what it read, once each, as first seen.

        Paths are absolute; addresses have lost their user, password and signatures.
        """
        if look is None and self._looks:
            look = self._looks[-1]
        if look is None or look not in self._looks:
            return []
        self._looks = tuple(other for other in self._looks if other is not look)
        self._listen()
        found: dict[str, Opened] = {}
        for path, how in look.seen.items():
            if is_address(path):
                path = public_address(path)
            else:
                path = os.path.normpath(path)
                if self.is_excluded(path) or not os.path.exists(path):
                    continue
                if os.path.isdir(path) and how == "opened":
                    continue  # To list a folder reads no data.
            if path not in found or how == "read":
                found[path] = Opened(path, how)
        return list(found.values())

    def source_of(self, value: Any) -> str | None:
        """The path (absolute) or address that a reader returned this very object for."""
        known = self._sources.get(id(value))
        if known is None or known[0]() is not value or not known[1]:
            return None
        first, *others = (
            public_address(p) if is_address(p) else os.path.normpath(p) for p in known[1]
        )
        return f"{first} and {len(others)} more" if others else first

    def _listen(self) -> None:
        """Hear of opens while there is something to be told of them."""
        if self._looks and self._see not in _listening:
            _listening.append(self._see)
        elif not self._looks and self._see in _listening:
            _listening.remove(self._see)

    def _see(self, path: Any, mode: Any, flags: int) -> None:
        """Python opens a file: as cheap as it can be, thousands come with one import."""
        if type(path) is not str:
            if isinstance(path, int):
                return
            path = os.fsdecode(path)
        if path.endswith(_CODE) or path.startswith(self._excluded):
            return
        if threading.get_ident() in _unwatched:
            return
        if not os.path.isabs(path):
            path = os.path.join(os.getcwd(), path)
        writes = flags & _WRITE_FLAGS if mode is None else not _WRITES.isdisjoint(mode)
        for look in self._looks:
            if writes:
                look.written.add(path)
            else:
                look.add(path, "opened")

    def _note(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """A reader has returned."""
        try:
            if name.startswith("read_sql") or name == "read_database":
                given = kwargs.get("con", args[1] if len(args) > 1 else None)
                texts = _database(given)
            elif name == "AbstractFileSystem.open":
                texts = _opened_far(*args, **kwargs)
            elif name.endswith(".__init__"):  # The object itself is what came out.
                first = args[1] if len(args) > 1 else next(iter(kwargs.values()), None)
                texts, result = source_texts(first), args[0]
            elif name == "memory_map" and not _WRITES.isdisjoint(_mode(args, kwargs)):
                return
            else:
                texts = source_texts(args[0] if args else next(iter(kwargs.values()), None))
            if not texts:
                return
            for look in self._looks:
                for text in texts:
                    look.add(text, "read")
            self._remember(result, tuple(texts))
        except Exception:  # The reader's result is the person's, whatever is wrong here.
            return

    def _remember(self, value: Any, texts: tuple[str, ...]) -> None:
        if type(value) is dict:  # The sheets of a workbook.
            for item in list(value.values())[:50]:
                self._remember(item, texts)
            return
        key, sources = id(value), self._sources
        with contextlib.suppress(TypeError):  # A tuple, a number: nothing refers to it weakly.
            sources[key] = (weakref.ref(value, lambda ref: _forget(sources, key, ref)), texts)

    def is_excluded(self, path: str) -> bool:
        """Whether a file is nobody's data: code, state of tools, a secret."""
        if path.endswith(_CODE) or any(part in path for part in _INSIDE):
            return True
        name = os.path.basename(path)
        if name in _SECRETS or name.startswith(".env."):
            return True
        if name == "meta.yaml" and f"{os.sep}mlruns{os.sep}" in path:
            return True  # MLflow's own bookkeeping.
        return path.startswith(self._excluded)


@contextlib.contextmanager
def not_watched() -> Any:
    """What this thread opens inside is no input of any cell."""
    me = threading.get_ident()
    _unwatched.add(me)
    try:
        yield
    finally:
        _unwatched.discard(me)


_listening: list[Callable[[Any, Any, int], None]] = []
_unwatched: set[int] = set()
_code_heard: Callable[[Any], None] | None = None
_hooked = False


def hear_code(heard: Callable[[Any], None] | None) -> None:
    """Have every code object told that is about to be executed; ``None`` ends that."""
    global _code_heard
    _add_hook()
    _code_heard = heard


def _add_hook() -> None:
    global _hooked
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True


def _hook(event: str, args: tuple[Any, ...]) -> None:
    # Every audit event of the process comes here, for as long as it lives.
    if event == "exec" and _code_heard is not None:
        try:
            _code_heard(args[0])
        except Exception:  # The person's code is executed.
            return
    elif _listening and event == "open":
        try:
            for see in _listening:
                see(*args)
        except Exception:  # The person's open goes on.
            return


def _forget(
    sources: dict[int, tuple[weakref.ref[Any], tuple[str, ...]]], key: int, ref: weakref.ref[Any]
) -> None:
    known = sources.get(key)
    if known is not None and known[0] is ref:
        del sources[key]


def _database(connection: Any) -> list[str]:
    """The address of a database, from its URL or SQLAlchemy's engine or connection."""
    if type(connection) is str:
        return [connection] if "://" in connection else []
    url = getattr(getattr(connection, "engine", connection), "url", None)
    if url is None or not hasattr(url, "render_as_string"):
        return []
    return [url.render_as_string(hide_password=True)]


def _mode(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    return str(args[1] if len(args) > 1 else kwargs.get("mode", "r"))


def _opened_far(system: Any, path: Any, mode: str = "rb", *_: Any, **__: Any) -> list[str]:
    """What fsspec opens for reading; local files are Python's own opens."""
    protocol = system.protocol if isinstance(system.protocol, str) else system.protocol[0]
    if not _WRITES.isdisjoint(mode) or protocol in ("file", "local"):
        return []
    address = system.unstrip_protocol(path)
    return source_texts(address) if is_address(address) else []


def _excluded() -> tuple[str, ...]:
    """Folders of the interpreter, the libraries, Jupyter and the system, each with a slash."""
    found = {os.path.dirname(os.__file__)}
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix}:
        found.update(
            os.path.join(prefix, name)
            for name in ("lib", "lib64", "bin", "include", "share", "etc", "conda-meta", "Lib",
                         "Scripts", "DLLs", "pyvenv.cfg")
        )  # fmt: skip
    found.update(p for p in sys.path if p.endswith(("site-packages", "dist-packages")))
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR",
                 "MPLCONFIGDIR", "JUPYTER_MLOPS_HOME"):  # fmt: skip
        if os.environ.get(name):
            found.add(os.environ[name])
    with contextlib.suppress(RuntimeError):
        home = Path.home()
        found.update(
            str(home / name)
            for name in (".jupyter", ".ipython", ".config", ".local/share/jupyter",
                         ".local/lib", ".matplotlib", ".cache/matplotlib", ".cache/fontconfig",
                         ".cache/pip", ".cache/uv", "Library/Jupyter", "Library/Caches/matplotlib",
                         "Library/Preferences")
        )  # fmt: skip
    folders = {os.path.join(os.path.abspath(p), "") for p in found if p}
    folders |= {os.path.join(os.path.realpath(p), "") for p in found if p}
    return (*sorted(folders - {os.path.join(os.sep, "")}), *_SYSTEM)
