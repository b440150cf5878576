"""What a step's kernel does that its code, parameters and inputs do not tell.

``install(path)`` in the kernel's process, before code of the person runs, writes records to
``path``; who runs the step reads them when the kernel has ended (``pipelines.caching.evidence``).
Standard library only: it is loaded as a file, in interpreters that have nothing of this package.

A record is a JSON list in a line.  Its first item is its kind:

``start``    the process begins: its id, the time
``read``     a file that is about to be opened for reading, with its identity then (or null)
``code``     the same, opened by the import system
``loaded``   the file of a module that is there
``probe``    a path that was asked for, and what was there: ``absent``, ``dir`` or ``file SIZE``
``list``     a folder that is about to be listed, with its identity
``search``   a folder in which the import system looks for modules
``write``    a file or folder that is about to be made or changed, and whether it is there
``effect``   anything else that leaves the process, or comes into it: kind and detail
``cell``     a cell begins: whether the global random states have changed so far
``entropy``  somebody asked the system for randomness: who
``end``      the process ends: loaded modules, whether the random states have changed, children

A record is written before what it tells of happens.  Until the first cell only reads count.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import sys
import sysconfig
import threading
import time
import types
from collections.abc import Callable
from typing import Any

__all__ = ["VARIABLE", "finish", "install", "install_from_environment"]

VARIABLE = "JUPYTER_MLOPS_STEP_EVIDENCE"
_MOST = 20_000  # records; more of them say nothing more
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Ask the hardware only, which the environment's part of a key holds.
_HARMLESS = frozenset({"lscpu", "nproc", "uname", "ldconfig", "sysctl"})
# Their randomness names messages, files and processes.
_NAMING = frozenset(
    {"ipykernel", "jupyter_client", "IPython", "zmq", "tornado", "comm", "asyncio", "tempfile",
     "multiprocessing", "traitlets", "_mlops_engine_evidence", "debugpy", "jupyter_mlops"}
)  # fmt: skip
_PASSING = frozenset({"random", "secrets", "uuid"})
_IMPORT = "<frozen importlib._bootstrap"

_stat = os.stat  # before it is wrapped
_dictionary = vars(types.ModuleType)["__dict__"].__get__
_evidence: _Evidence | None = None


def install_from_environment() -> None:
    """``install`` where the environment asks for it; processes that this one starts do not."""
    path = os.environ.pop(VARIABLE, "")
    if path:
        with contextlib.suppress(Exception):  # the step runs all the same, and is not kept
            install(path)


def install(path: str) -> None:
    """Begin to write evidence to ``path``, afresh.  ``OSError`` where that is not possible."""
    global _evidence
    if _evidence is not None:
        return
    _evidence = _Evidence(path)
    sys.addaudithook(_evidence.hook())
    _evidence.patch()
    atexit.register(finish)


def finish() -> None:
    """Write the end.  Called when the interpreter ends; call it before ``os._exit``."""
    if _evidence is not None:
        with contextlib.suppress(Exception):
            _evidence.finish()


class _Evidence:
    """One process's evidence; its hook is called at every audit event, in any thread."""

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(path, flags, 0o600)
        held = os.fstat(self._descriptor)
        self._held = (held.st_dev, held.st_ino)
        self._pid = os.getpid()
        self._said, self._imported = set[Any](), set[str]()
        self._broken = self._ended = False
        self._live = False  # whether a cell has begun
        self._cell: str | None = None
        self._numpy = False  # whether its function for generators is wrapped
        self._states: dict[str, Any] = {}
        self._changed: set[str] = set()
        self._libraries = _libraries()
        self._skipped = (*self._libraries, *_runtime_folders(), os.path.abspath(path))
        self._handlers: dict[str, Callable[[tuple[Any, ...]], None]] = {
            "open": self._open,
            "import": self._import,
            "compile": self._compile,
            **dict.fromkeys(("os.listdir", "os.scandir"), self._list),
            "os.mkdir": self._mkdir,
            **dict.fromkeys(("os.rename", "os.link", "os.symlink"), self._changes(2)),
            "subprocess.Popen": self._popen,
            "sqlite3.connect": self._sqlite,
        }
        for name in ("os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime",
                     "os.setxattr", "os.removexattr", "os.chflags"):  # fmt: skip
            self._handlers[name] = self._changes(1)
        for name in ("os.fork", "os.forkpty", "os.system", "os.exec", "os.posix_spawn", "os.spawn",
                     "os.startfile", "pty.spawn", "os.kill", "os.killpg", "socket.connect",
                     "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
                     "socket.gethostbyname", "socket.gethostbyaddr", "socket.gethostname",
                     "socket.getnameinfo", "urllib.Request", "webbrowser.open", "builtins.input",
                     "winreg.OpenKey", "shmget"):  # fmt: skip
            self._handlers[name] = self._effect(name)
        self._write("start", {"pid": self._pid, "time": time.time()})
        self._loaded_modules()

    def hook(self) -> Callable[[str, tuple[Any, ...]], None]:
        """What notes audit events: tens of thousands come with a library's import."""
        find = self._handlers.get

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            handler = find(event)
            if handler is not None and not self._ended:
                try:
                    handler(arguments)
                except Exception as error:  # what the person does goes on
                    self._fail(f"{event}: {type(error).__name__}: {error}")

        return hook

    def patch(self) -> None:
        """Wrap the few functions that tell no audit hook: asking for files, and for randomness."""
        self._patch_stat()
        self._patch_import()
        import _posixsubprocess  # type: ignore[import-not-found,unused-ignore]
        import random

        spawn: Any = _posixsubprocess.fork_exec

        def fork_exec(arguments: Any, *others: Any) -> Any:
            with contextlib.suppress(Exception):
                self._command(arguments[0])
            return spawn(arguments, *others)

        _posixsubprocess.fork_exec = fork_exec
        entropy: Any = os.urandom

        def urandom(size: int, /) -> bytes:
            self._entropy(size)
            return bytes(entropy(size))

        os.urandom = urandom
        random._urandom = urandom  # type: ignore[attr-defined]
        self._patch_numpy()

    def finish(self) -> None:
        """Write the end, once, in the process that it was begun in."""
        if self._ended or os.getpid() != self._pid:
            return
        self._loaded_modules()
        self._look_at_states()
        children = _children()
        self._ended = True
        names = sorted({name.partition(".")[0] for name in list(sys.modules)} | self._imported)
        end: dict[str, Any] = {"changed": sorted(self._changed), "modules": names}
        end["children"] = children
        end["broken"] = self._broken
        places = [self._absolute(one or ".") for one in sys.path if isinstance(one, str)]
        end["path"] = [one for one in places if one is not None]
        self._write("end", end)

    # Files

    def _open(self, arguments: tuple[Any, ...]) -> None:
        path, mode, flags = arguments
        if type(path) is str and path.startswith(self._skipped) and ".." not in path:
            return  # nearly all
        path = None if isinstance(path, int) else self._absolute(path)
        if path is None:
            return
        if mode is None:
            writes = bool(flags & _WRITE_FLAGS)
        else:
            writes = not {"w", "a", "x", "+"}.isdisjoint(str(mode))
        if writes:
            self._change(path)
            return
        frame = sys._getframe(2).f_code.co_filename
        if frame.startswith(_IMPORT):
            self._read("code", path)
        elif path.endswith(".py") and sys._getframe(3).f_globals.get("__name__") == "linecache":
            self._read("code", path)  # for the text of a traceback
        else:
            self._read("read", path)

    def _read(self, kind: str, path: str) -> None:
        # What it has written itself is nothing that came in.
        if (kind, path) not in self._said and ("write", path) not in self._said:
            self._say(kind, path, _identity(path))

    def _list(self, arguments: tuple[Any, ...]) -> None:
        given = "." if arguments[0] is None else arguments[0]
        if isinstance(given, int):
            return
        path = self._absolute(given or ".")
        if path is None:
            return
        searched = sys._getframe(2).f_code.co_filename.startswith(_IMPORT)
        kind = "search" if searched else "list"
        if (kind, path) not in self._said:
            self._say(kind, path, None if searched else _identity(path))

    def _change(self, path: str) -> None:
        bytecode = f"{os.sep}__pycache__{os.sep}" in path and ".pyc" in path
        if self._live and not bytecode and ("write", path) not in self._said:
            self._say("write", path, os.path.lexists(path))

    def _changes(self, count: int) -> Callable[[tuple[Any, ...]], None]:
        def note(arguments: tuple[Any, ...]) -> None:
            for given in arguments[:count]:
                path = None if isinstance(given, int) else self._absolute(given)
                if path is not None:
                    self._change(path)

        return note

    def _mkdir(self, arguments: tuple[Any, ...]) -> None:
        path = self._absolute(arguments[0])
        if path and not path.endswith("__pycache__") and not _is_folder(path):
            self._change(path)

    def _sqlite(self, arguments: tuple[Any, ...]) -> None:
        if self._live and os.fsdecode(arguments[0]) not in (":memory:", ""):
            self._affect("sqlite3.connect", os.fsdecode(arguments[0]))

    def _patch_stat(self) -> None:
        original = _stat

        def stat(path: Any, *, dir_fd: Any = None, follow_symlinks: bool = True) -> Any:
            try:
                found = original(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
            except (FileNotFoundError, NotADirectoryError):
                self._probe(path, dir_fd, "absent")
                raise
            if not isinstance(path, int):
                kind = found.st_mode & 0o170000
                state = "dir" if kind == 0o040000 else f"file {found.st_size}"
                self._probe(path, dir_fd, state)
            return found

        functools.update_wrapper(stat, original)
        for kinds in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
            if original in kinds:
                kinds.add(stat)
        os.stat = stat

    def _probe(self, path: Any, dir_fd: Any, state: str) -> None:
        if self._ended or dir_fd is not None:
            return
        try:
            place = self._absolute(path)
            if place is not None and ("probe", place) not in self._said:
                self._say("probe", place, state)
        except Exception as error:  # it was asked for by the person
            self._fail(f"stat: {type(error).__name__}: {error}")

    # Modules and cells

    def _import(self, arguments: tuple[Any, ...]) -> None:
        name = arguments[0].partition(".")[0]
        self._imported.add(name)  # told of at the end
        if not self._numpy:
            self._patch_numpy()
        for state, (module, read) in _STATES.items():
            if state not in self._states and module in sys.modules:
                with contextlib.suppress(Exception):  # it is being imported
                    self._states[state] = read(sys.modules[module])

    def _patch_import(self) -> None:
        """What a library draws while it is imported names its own things, and is left out."""
        from importlib import _bootstrap_external

        basics: Any = _bootstrap_external._LoaderBasics  # type: ignore[attr-defined]
        original = basics.exec_module
        inside = threading.local()

        def exec_module(loader: Any, module: Any) -> None:
            library = str(getattr(loader, "path", "")).startswith(self._libraries)
            if not library or getattr(inside, "library", False):
                original(loader, module)
                return
            self._look_at_states()
            inside.library = True
            try:
                original(loader, module)
            finally:
                inside.library = False
                self._states.pop("random", None)
                self._look_at_states()

        # Tracebacks leave out what stands in the import system's files.
        code = exec_module.__code__.replace(co_filename=original.__code__.co_filename)
        exec_module.__code__ = code
        basics.exec_module = exec_module

    def _patch_numpy(self) -> None:
        """Note generators that libraries make without a seed."""
        module: Any = sys.modules.get("numpy.random")
        original = None if module is None else vars(module).get("default_rng")
        if original is None:
            return
        self._numpy = True

        @functools.wraps(original)
        def default_rng(seed: Any = None) -> Any:
            if seed is None:
                self._entropy(0)
            return original(seed)

        module.default_rng = default_rng

    def _compile(self, arguments: tuple[Any, ...]) -> None:
        name = arguments[1]
        if isinstance(name, bytes):
            name = os.fsdecode(name)
        if name == self._cell or not isinstance(name, str) or not _is_cell(name):
            return
        if not self._live:  # what the kernel drew for itself
            self._states.clear()
            self._changed.clear()
        self._cell, self._live = name, True
        self._look_at_states()
        self._write("cell", sorted(self._changed))

    def _look_at_states(self) -> None:
        for name, (module, read) in _STATES.items():
            with contextlib.suppress(Exception):  # not loaded, or not as it is known
                state = read(sys.modules[module])
                if self._states.setdefault(name, state) != state:
                    self._changed.add(name)

    def _loaded_modules(self) -> None:
        """Files of modules that were loaded unseen: before this began, or by native code."""
        for module in list(sys.modules.values()):
            if not issubclass(type(module), types.ModuleType):
                continue
            # Past whatever a lazy module does when it is asked for something.
            path = _dictionary(module).get("__file__")
            if isinstance(path, str) and os.path.isabs(path):
                place = self._absolute(path)
                if place is not None:
                    self._read("loaded", place)

    # Everything else

    def _effect(self, name: str) -> Callable[[tuple[Any, ...]], None]:
        return lambda _arguments: self._affect(name, "") if self._live else None

    def _affect(self, kind: str, detail: str) -> None:
        if (kind, detail) not in self._said:
            self._said.add((kind, detail))
            self._write("effect", kind, detail)

    def _popen(self, arguments: tuple[Any, ...]) -> None:
        words = arguments[1]
        self._command(arguments[0] or (words if isinstance(words, str) else words[0]))

    def _command(self, word: Any) -> None:
        name = os.path.basename(os.fsdecode(word))
        if self._live and name not in _HARMLESS:
            self._affect("subprocess", name[:100])

    def _entropy(self, size: int) -> None:
        if not self._live or self._ended:
            return
        with contextlib.suppress(Exception):
            frame: Any = sys._getframe(2)
            if size == 16 and frame.f_code.co_name == "getrandbits":
                return  # NumPy makes a generator, and seeds it then: see _patch_numpy
            first, named = None, False
            while frame is not None:
                if frame.f_code.co_filename.startswith(_IMPORT):
                    return  # a module seeds itself; its state is watched
                name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
                if first is None and name not in _PASSING:
                    first = name
                    # A library's UUID is the name of something.
                    library = frame.f_code.co_filename.startswith(self._libraries)
                    if name in _NAMING or (named and library):
                        return
                named = named or name == "uuid"
                frame = frame.f_back
            self._say("entropy", first or "something")

    def _absolute(self, path: Any) -> str | None:
        """The path as it is meant; ``None`` for what belongs to the interpreter or the system."""
        text = os.fsdecode(path)
        if not os.path.isabs(text):
            text = os.path.join(os.getcwd(), text)
        text = os.path.normpath(text)
        if (text + os.sep).startswith(self._skipped) or _is_cell(text):
            return None
        return text

    def _say(self, kind: str, what: str, *more: Any) -> None:
        self._said.add((kind, what))
        if len(self._said) < _MOST:
            self._write(kind, what, *more)
        else:
            self._fail(f"more than {_MOST} records")

    def _fail(self, reason: str) -> None:
        if not self._broken:
            self._broken = True
            with contextlib.suppress(Exception):
                self._write("effect", "evidence", reason[:300])

    def _write(self, *record: Any) -> None:
        data = json.dumps(record).encode("ascii") + b"\n"
        held = os.fstat(self._descriptor)
        # Whoever closed it may have another file at its number now.
        if (held.st_dev, held.st_ino) == self._held:
            os.write(self._descriptor, data)


def _identity(path: str) -> list[int] | None:
    """Inode, size, times and now, all in nanoseconds; ``None`` for nothing or what cannot be."""
    try:
        found = _stat(path)
    except (OSError, ValueError):
        return None
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, time.time_ns()]


def _is_folder(path: str) -> bool:
    try:
        return _stat(path).st_mode & 0o170000 == 0o040000
    except (OSError, ValueError):
        return False


def _is_cell(name: str) -> bool:
    """Whether code of this file name is a cell's: ipykernel's, IPython's, or our fork engine's."""
    return f"{os.sep}ipykernel_" in name or name.startswith("<ipython-input")


def _libraries() -> tuple[str, ...]:
    """The folders of the interpreter and what is installed in it, each with a separator."""
    found = {value for name, value in sysconfig.get_paths().items() if name != "data" and value}
    for one in sys.path:
        if isinstance(one, str) and one.rstrip("/\\").endswith(("site-packages", "dist-packages")):
            found.add(one)
    for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix):
        found.update(os.path.join(prefix, name) for name in ("lib", "lib64", "pyvenv.cfg"))
    places = {made(one) for one in found for made in (os.path.realpath, os.path.abspath)}
    return tuple(sorted(os.path.join(one, "") for one in places))


def _runtime_folders() -> tuple[str, ...]:
    """What differs in every process: the connection file's folder, and the system's own."""
    found = ["/proc/", "/sys/", "/dev/", os.path.abspath(__file__)]
    if "-f" in sys.argv[:-1]:
        place = os.path.abspath(sys.argv[sys.argv.index("-f") + 1])
        found.append(os.path.join(os.path.dirname(place), ""))
    if os.environ.get("JUPYTER_RUNTIME_DIR"):
        found.append(os.path.join(os.path.abspath(os.environ["JUPYTER_RUNTIME_DIR"]), ""))
    return tuple(found)


def _numpy_state(module: Any) -> Any:
    kind, key, *rest = module._rand.get_state()
    return (kind, hash(key.tobytes()), *rest)


# The global random states: the module that has one, and what tells it apart.
_STATES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "random": ("random", lambda module: hash(module._inst.getstate())),
    "numpy": ("numpy.random.mtrand", _numpy_state),
    "torch": ("torch", lambda module: hash(module.get_rng_state().numpy().tobytes())),
}


def _children() -> int:
    """How many child processes live."""
    count = 0
    with contextlib.suppress(OSError):
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
                count += len(file.read().split())
    return count
