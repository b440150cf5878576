"""Readers of data, wrapped: what they read is remembered beside what they return.

Readers written in C++ or Rust open files where Python does not see it, and only a reader knows
which frame came from where.  A wrapped reader has the signature, documentation and pickled name
of the one that it stands for, adds no frame to a traceback and is not seen by warnings that look
for the person's line.  Libraries that are imported later are wrapped then, by an import hook.
"""

from __future__ import annotations

import functools
import sys
import threading
import types
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

__all__ = ["READERS", "Readers"]

# Called with the reader's name, its arguments and what it returned.
Note = Callable[[str, tuple[Any, ...], dict[str, Any], Any], None]

# Module -> the readers in it; one that ends with `*` stands for all that begin so, `Class.method`
# for what makes or is called on an object that reads.
READERS: dict[str, tuple[str, ...]] = {
    "pandas": ("read_*",),
    "polars": ("read_*", "scan_*"),
    "pyarrow": ("memory_map", "input_stream"),
    "pyarrow.ipc": ("open_file", "open_stream"),
    "pyarrow.parquet": (
        "read_table", "read_pandas", "ParquetFile.__init__", "ParquetDataset.__init__",
    ),
    "pyarrow.csv": ("read_csv", "open_csv"),
    "pyarrow.json": ("read_json",),
    "pyarrow.feather": ("read_table", "read_feather"),
    "pyarrow.orc": ("read_table", "ORCFile.__init__"),
    "pyarrow.dataset": ("dataset",),
    "numpy": ("load",),
    "fsspec.spec": ("AbstractFileSystem.open",),
}  # fmt: skip
_NOT = frozenset({"read_clipboard"})

_inside = threading.local()
# Wrappers that should be gone: another one may still stand before them.
_retired: weakref.WeakSet[Any] = weakref.WeakSet()


class Readers:
    """Puts wrapped readers in place and takes them away."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._placed: list[tuple[Any, str, Any, Any]] = []
        self._done: set[str] = set()
        self._finder = _Finder(self._again)

    def install(self) -> None:
        """Wrap the readers of what is imported, and of what will be."""
        if self._finder not in sys.meta_path:
            sys.meta_path.insert(0, self._finder)
        for name in READERS:
            self.wrap(name)

    def uninstall(self) -> None:
        """Put every reader back that nobody else has replaced since."""
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        _retired.update(wrapped for *_, wrapped in self._placed)
        for module, name, original, wrapped in reversed(self._placed):
            while original in _retired:  # Of a session that ended before this one did.
                original = original.__wrapped__
            if vars(module).get(name) is wrapped:
                setattr(module, name, original)
        self._placed.clear()
        self._done.clear()

    def wrap(self, name: str) -> None:
        """Wrap the readers of the module ``name``, if it is there and has not been wrapped."""
        module = sys.modules.get(name)
        spec = getattr(module, "__spec__", None)
        if module is None or name in self._done or getattr(spec, "_initializing", False):
            return
        self._done.add(name)
        for reader in _names(module, READERS[name]):
            try:
                self._replace(module, reader)
            except Exception:  # noqa: S112  A library that is built differently keeps its reader.
                continue

    def _again(self, name: str) -> None:
        """A module was imported, or reloaded: its readers are new."""
        self._done.discard(name)
        self.wrap(name)

    def _replace(self, module: types.ModuleType, name: str) -> None:
        owner, _, method = name.rpartition(".")
        if owner:
            self._replace_method(getattr(module, owner), method, name)
            return
        original = getattr(module, name)
        if isinstance(original, type) or not callable(original):
            return
        wrapped = _wrapped(original, name, self._note)
        for place in _places(module, original):
            if vars(place).get(name) is original:
                setattr(place, name, wrapped)
                self._placed.append((place, name, original, wrapped))

    def _replace_method(self, owner: type, method: str, name: str) -> None:
        original = vars(owner)[method]
        wrapped = _wrapped(original, method, self._note, name)
        setattr(owner, method, wrapped)
        self._placed.append((owner, method, original, wrapped))


def _names(module: types.ModuleType, patterns: tuple[str, ...]) -> list[str]:
    found = []
    for pattern in patterns:
        if pattern.endswith("*"):
            prefix = pattern[:-1]
            found += [n for n in vars(module) if n.startswith(prefix) and n not in _NOT]
        elif pattern.partition(".")[0] in vars(module):
            found.append(pattern)
    return found


def _places(module: types.ModuleType, original: Any) -> list[types.ModuleType]:
    """The modules that hold a reader by its name: where it is defined, and those above."""
    names = {module.__name__, f"{module.__name__}.io.api"}
    for home in (original.__module__, getattr(original, "__globals__", {}).get("__name__")):
        while home and home.partition(".")[0] == module.__name__.partition(".")[0]:
            names.add(home)
            home = home.rpartition(".")[0]
    return [sys.modules[name] for name in names if name in sys.modules]


def _wrapped(original: Any, name: str, note: Note, told: str | None = None) -> Any:
    """``original``, of which ``note`` is told under the name ``told``, by default its own."""
    inside = _inside
    said = told or name

    def reader(*args: Any, **kwargs: Any) -> Any:
        outermost = not getattr(inside, "reading", False)
        inside.reading = True
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            # This frame is none of the person's business.
            trace = error.__traceback__
            error.__traceback__ = trace.tb_next if trace is not None else None
            raise
        finally:
            if outermost:
                inside.reading = False
        if outermost:
            note(said, args, kwargs, result)
        return result

    # Warnings point at the first frame outside the library: this one must look as if inside.
    code = getattr(original, "__code__", None)
    home = getattr(sys.modules.get(original.__module__), "__file__", None)
    filename = code.co_filename if code is not None else (home or reader.__code__.co_filename)
    globals_ = {"__name__": original.__module__, "__builtins__": __builtins__}
    made = types.FunctionType(
        reader.__code__.replace(co_filename=filename, co_name=name, co_qualname=name),
        globals_,
        name,
        None,
        reader.__closure__,
    )
    return functools.update_wrapper(made, original)


class _Finder:
    """Finds nothing itself: it has a module of ``READERS`` wrapped right after it was imported."""

    def __init__(self, done: Callable[[str], None]) -> None:
        self._done = done

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in READERS:
            return None
        for finder in sys.meta_path:
            if isinstance(finder, _Finder) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self._done)  # type: ignore[assignment]
                return spec
        return None


class _Loader:
    """The loader of a module, and something to do afterwards; leaves no trace of itself."""

    def __init__(self, loader: Any, done: Callable[[str], None]) -> None:
        self._loader = loader
        self._done = done

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        made: types.ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        initializing = getattr(spec, "_initializing", False)
        try:
            if spec is not None:
                spec._initializing = False  # type: ignore[attr-defined]
            self._done(module.__name__)
        except Exception:  # noqa: S110  The person's import must not fail.
            pass
        finally:
            if spec is not None:
                spec._initializing = initializing  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
