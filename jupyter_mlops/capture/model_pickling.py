"""Pickling an object so that another process of the same interpreter can load it.

Classes and functions of installed packages go by name.  Those of the notebook, and of the person's
own modules beside it, are not there in another process, so they go by value, with cloudpickle.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import pickle
import sys
import sysconfig
import types
from collections.abc import Iterator
from typing import Any

__all__ = ["TooLarge", "dump"]

_BY_NAME = (type, types.FunctionType, types.BuiltinFunctionType)
_OURS = __name__.partition(".")[0]
_local: dict[str, bool] = {}  # top-level module -> whether only this process can import it


class TooLarge(Exception):
    """The pickle has grown beyond its limit."""


class _ByValue(Exception):
    """Something is inside that cannot be pickled by name."""


def dump(value: Any, limit: int) -> tuple[memoryview, str, frozenset[str]]:
    """Return ``(pickle, format, top-level modules that loading it needs)``.

    ``format`` is ``pickle5`` or ``cloudpickle``.  Raises ``TooLarge`` beyond ``limit`` bytes, and
    whatever the objects raise.
    """
    buffer = _Limited(limit)
    pickler = _Pickler(buffer, protocol=5)
    try:
        pickler.dump(value)
        return buffer.getbuffer(), "pickle5", frozenset(pickler.modules)
    except _ByValue:
        pass
    import cloudpickle

    class CloudPickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, _BY_NAME):
                modules.add(str(value.__module__).partition(".")[0])
            elif isinstance(value, types.ModuleType):
                modules.add(value.__name__.partition(".")[0])
            return super().reducer_override(value)

    modules: set[str] = set()
    buffer = _Limited(limit)
    with _by_value(cloudpickle):
        CloudPickler(buffer, protocol=5).dump(value)
    installed = {name for name in modules if name != "__main__" and not _is_local(name)}
    return buffer.getbuffer(), "cloudpickle", frozenset(installed | {"cloudpickle"})


class _Limited(io.BytesIO):
    """A buffer that refuses to grow beyond a limit: a huge model is given up early."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > self._limit:
            raise TooLarge
        return super().write(data)


class _Pickler(pickle.Pickler):
    """Notices what only this process could load again."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.modules: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, _BY_NAME):
            name = str(value.__module__).partition(".")[0]
            if name not in self.modules:
                if _is_local(name):
                    raise _ByValue
                self.modules.add(name)
            if "<" in str(getattr(value, "__qualname__", "")):  # a lambda, something local
                raise _ByValue
        return NotImplemented


def _is_local(name: str) -> bool:
    """Whether a top-level module is the notebook itself, or a file that is not installed."""
    if name == "__main__":
        return True
    found = _local.get(name)
    if found is None:
        module = sys.modules.get(name)
        places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", ())]
        found = any(places) and name != _OURS and not any(map(_is_installed, filter(None, places)))
        _local[name] = found
    return found


def _is_installed(place: str) -> bool:
    # Several packages are installed below a folder of this name wherever the interpreter looks.
    if "site-packages" in place or "dist-packages" in place:
        return True
    roots = _standard_library()
    return place.startswith(roots) or os.path.realpath(place).startswith(roots)


@functools.cache
def _standard_library() -> tuple[str, ...]:
    found = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return tuple({f"{os.path.realpath(folder)}{os.sep}" for folder in found})


@contextlib.contextmanager
def _by_value(cloudpickle: Any) -> Iterator[None]:
    """Have cloudpickle take the person's own modules by value, too."""
    added = []
    known = set(cloudpickle.list_registry_pickle_by_value())
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top == "__main__" or name in known or not _is_local(top):
            continue
        with contextlib.suppress(Exception):
            cloudpickle.register_pickle_by_value(module)
            added.append(module)
    try:
        yield
    finally:
        for module in added:
            cloudpickle.unregister_pickle_by_value(module)
