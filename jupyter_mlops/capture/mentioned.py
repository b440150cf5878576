"""Which names a cell may touch: those in its text, and those in the functions that it may run."""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Iterable, Mapping
from typing import Any

from .fingerprint_kinds import is_own
from .fingerprints import class_vars, inherits, mro_of

__all__ = ["data_names", "is_shells", "mentioned"]

_WORD = re.compile(r"[^\W\d]\w*")
# With these, the text does not say which names are touched.
_ANY = frozenset(
    {"exec", "eval", "globals", "locals", "vars", "get_ipython", "run_cell", "compile"}
)
_MAGIC = re.compile(r"^\s*%", re.M)
_SHELL = re.compile(r"__\w+__|_+|_+i+|_i?\d+|_[dio]h|_exit_code|In|Out")
_FUNCTIONS = 300
_CACHED = type(functools.lru_cache(lambda: None))


def data_names(namespace: Mapping[str, Any], hidden: Mapping[str, Any]) -> list[str]:
    """Names that hold the notebook's data, functions and classes: no modules, none of the shell's.

    ``hidden`` are the shell's own names.
    """
    module = types.ModuleType
    return [
        name
        for name, value in namespace.items()
        if type(value) is not module
        and (name not in hidden or hidden[name] is not value)
        and not (name[:1] in "_IO" and is_shells(name))
    ]


def is_shells(name: str) -> bool:
    """Whether it is one of IPython's own: results, inputs, the folders that were."""
    return name[:1] in "_IO" and _SHELL.fullmatch(name) is not None


def mentioned(source: str, namespace: dict[str, Any], hidden: Mapping[str, Any]) -> set[str]:
    """Of ``data_names`` those that a cell may touch by its text and by the notebook's functions.

    Attributes, comments and strings count as well: a name too much only costs a look.
    """
    words = set(_WORD.findall(source))
    if words & _ANY or _MAGIC.search(source):
        return set(data_names(namespace, hidden))

    def data(names: Iterable[str]) -> list[str]:
        return data_names({n: namespace[n] for n in names if n in namespace}, hidden)

    found = set(data(words))
    todo, seen = list(found), set[int]()
    while todo and len(seen) < _FUNCTIONS:
        for code in _codes(namespace[todo.pop()], namespace):
            if id(code) not in seen:
                seen.add(id(code))
                for name in data(_code_names(code, seen)):
                    if name not in found:
                        found.add(name)
                        todo.append(name)
    return found


def _codes(value: Any, namespace: dict[str, Any]) -> list[types.CodeType]:
    """The code of functions of the notebook that using a value may run."""
    kind = type(value)
    if kind is types.FunctionType:
        return [value.__code__] if value.__globals__ is namespace else []
    if kind is types.MethodType:
        return _codes(value.__func__, namespace)
    if kind is functools.partial:
        return _codes(value.func, namespace)
    if kind is property:
        return [c for f in (value.fget, value.fset) for c in _codes(f, namespace)]
    if kind in (staticmethod, classmethod):
        return _codes(value.__func__, namespace)
    if kind is _CACHED:
        return _codes(object.__getattribute__(value, "__dict__").get("__wrapped__"), namespace)
    cls = value if inherits(kind, type) else kind
    return [
        code
        for base in mro_of(cls)
        if is_own(base)
        for held in list(class_vars(base).values())
        if type(held) in (types.FunctionType, property, staticmethod, classmethod)
        for code in _codes(held, namespace)
    ]


def _code_names(code: types.CodeType, seen: set[int]) -> list[str]:
    found: list[str] = []
    todo = [code]
    while todo:
        one = todo.pop()
        seen.add(id(one))
        found.extend(one.co_names)
        todo.extend(c for c in one.co_consts if type(c) is types.CodeType)
    return found
