"""State of the process that a cell may change beside its names: random states, settings, modules.

Each state becomes one number that is equal as long as the state is.  Nothing is imported, drawn or
kept; a state that cannot be read is not watched.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

from xxhash import xxh3_64_intdigest

from .fingerprints import Allowance, Fingerprints, Spent, loaded

__all__ = ["RANDOM", "Ambient", "OwnModules"]

RANDOM = "$rng:"
# What the shell, plotting and the tracking of a run set by themselves.
_NOT_ENVIRONMENT = (b"MLFLOW_", b"JUPYTER_MLOPS", b"LINES", b"COLUMNS", b"MPLBACKEND", b"KMP_")
_NOT_STYLE = frozenset({"backend", "backend_fallback", "interactive", "toolbar"})
_NOT_OPTIONS = frozenset({"display", "plotting", "styler", "io"})  # They change what is shown.
_OUTSIDE = ("site-packages", "dist-packages")
_SKIPPED = 20  # Cells after which a module is tried again that took too long.
_ONE = 0.0003  # CPU seconds for one module.
_MODULES = 50  # Of the project, looked at after each cell.


class Ambient:
    """The states at one moment: ``Ambient()``, then ``changes`` against a later one.

    A state that begins between the two (a library is imported) is not watched yet.
    """

    __slots__ = ("states",)

    def __init__(self) -> None:
        self.states: dict[str, object] = {}
        for name, read in _READERS.items():
            # Another version of the library, or something of the person's there: not watched.
            with contextlib.suppress(Exception):
                state = read()
                if state is not None:
                    self.states[name] = state

    def changes(self, later: Ambient) -> tuple[set[str], set[str]]:
        """``(changed, watched)``: states that differ, and all that both moments know."""
        both = self.states.keys() & later.states.keys()
        changed = {n for n in both if self.states[n] != later.states[n]}
        return {_state(n) for n in changed}, {_state(n) for n in both}


class OwnModules:
    """The state of the project's own modules, which no name of the notebook may lead to.

    A module is the project's own if it is a file that is not installed.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._looked_at: set[str] = set()
        self._own: list[str] = []
        self._count = 0
        self._known: dict[str, tuple[int, str]] = {}
        self._skipped: dict[str, int] = {}

    def take(self, allowance: Allowance) -> tuple[set[str], set[str]]:
        """``(changed, opaque)`` since the last time; modules not seen before are only noted."""
        changed, opaque = set[str](), set[str]()
        for name, module in self._modules():
            if self._skipped.get(name, 0) > 0:
                self._skipped[name] -= 1
                opaque.add(name)
                continue
            if allowance.spent > allowance.small:
                opaque.add(name)
                continue
            one = Allowance(_ONE, _ONE, allowance.rate)
            try:
                digits = _module_state(Fingerprints(self._namespace, one), module)
            except Spent:
                digits = None
            before = self._known.get(name)
            if digits is None:
                self._skipped[name] = _SKIPPED
                self._known.pop(name, None)
                opaque.add(name)
                continue
            self._known[name] = (id(module), digits)
            if before is not None and before != (id(module), digits):
                changed.add(name)
        return changed, opaque

    def _modules(self) -> list[tuple[str, types.ModuleType]]:
        modules = sys.modules
        if len(modules) != self._count:
            self._count = len(modules)
            for name in modules.keys() - self._looked_at:
                self._looked_at.add(name)
                if _is_own(modules.get(name)):
                    self._own.append(name)
        found = [(name, modules.get(name)) for name in self._own[-_MODULES:]]
        return [(name, m) for name, m in found if type(m) is types.ModuleType]


def _state(name: str) -> str:
    """``$process`` has several parts."""
    return name.partition(":")[0] if name.startswith("$process") else name


def _module_state(prints: Fingerprints, module: types.ModuleType) -> str | None:
    held = types.ModuleType.__getattribute__(module, "__dict__")
    state = {
        name: value
        for name, value in held.items()
        if type(name) is str
        and not name.startswith("__")
        and type(value) not in (types.FunctionType, types.ModuleType, type)
    }
    return prints.of(state).digits


def _is_own(module: Any) -> bool:
    """Whether it is a file of Python, and neither installed nor this package."""
    if type(module) is not types.ModuleType:
        return False
    held = types.ModuleType.__getattribute__(module, "__dict__")
    path = held.get("__file__")
    if type(path) is not str or held.get("__name__") == "__main__":
        return False
    path = os.path.abspath(path)
    if any(part in path for part in _OUTSIDE) or path.startswith((sys.prefix, sys.base_prefix)):
        return False
    own_package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return not path.startswith((own_package, os.path.dirname(os.__file__)))


def _environment() -> object:
    held = vars(os.environ).get("_data")
    if type(held) is not dict:
        return None
    pairs = [
        (k, v)
        for k, v in list(held.items())
        if not (k if type(k) is bytes else str(k).encode()).startswith(_NOT_ENVIRONMENT)
    ]
    return hash(frozenset(pairs))


def _path() -> object:
    return hash(tuple(p if type(p) is str else id(p) for p in list(sys.path)))


def _warnings() -> object:
    # Libraries add filters when they are imported; only errors change what a cell computes.
    return tuple(id(f) for f in list(warnings.filters) if f[0] == "error")


def _logging() -> object:
    root = logging.root
    return (root.level, root.manager.disable, root.disabled)


def _locale() -> object:
    locale: Any = loaded("locale")
    return None if locale is None else locale.setlocale(locale.LC_ALL)


def _random() -> object:
    return hash(random.Random.getstate(random._inst))


def _numpy_random() -> object:
    module = loaded("numpy.random.mtrand")
    if module is None:
        return None
    kind, key, *rest = module._rand.get_state()
    return (kind, xxh3_64_intdigest(key), *rest)


def _torch_random() -> object:
    torch = loaded("torch")
    if torch is None:
        return None
    return xxh3_64_intdigest(torch.get_rng_state().numpy())


def _pandas_options() -> object:
    module = loaded("pandas._config.config")
    if module is None:
        return None
    options = {k: v for k, v in module._global_config.items() if k not in _NOT_OPTIONS}
    return Fingerprints({}, Allowance(0.005, 0.005)).of(options).digits


def _numpy_options() -> object:
    numpy = loaded("numpy")
    return None if numpy is None else tuple(sorted(numpy.geterr().items()))


def _sklearn_options() -> object:
    module = loaded("sklearn._config")
    if module is None:
        return None
    return Fingerprints({}, Allowance(0.005, 0.005)).of(dict(module.get_config())).digits


def _style() -> object:
    matplotlib = loaded("matplotlib")
    if matplotlib is None or not isinstance(getattr(matplotlib, "rcParams", None), dict):
        return None
    held = dict.items(matplotlib.rcParams)
    return hash(
        tuple(
            v if type(v) in (str, int, float, bool) else id(v)
            for k, v in held
            if k not in _NOT_STYLE
        )
    )


_READERS: dict[str, Callable[[], object]] = {
    "$rng:random": _random,
    "$rng:numpy": _numpy_random,
    "$rng:torch": _torch_random,
    "$environment": _environment,
    "$cwd": os.getcwd,
    "$path": _path,
    "$process": sys.getrecursionlimit,
    "$process:locale": _locale,
    "$warnings": _warnings,
    "$logging": _logging,
    "$options:pandas": _pandas_options,
    "$options:numpy": _numpy_options,
    "$options:sklearn": _sklearn_options,
    "$options:matplotlib": _style,
}
