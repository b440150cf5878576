"""Fitted scikit-learn estimators of a cell, and a few rows of what they were fitted on.

scikit-learn is looked up among the loaded modules and never imported: where it is not loaded there
is no estimator.  Every look at an estimator may run the person's code and is guarded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .cellcode import CellCode

__all__ = ["Found", "choose", "example", "find_estimators", "is_predictor", "stamps"]

ROWS = 5
_NODES = 20_000  # How far into estimators and their lists components are looked for.


@dataclass(frozen=True, slots=True)
class Found:
    """A fitted estimator under the name that the cell gave it."""

    name: str
    model: Any
    predictor: bool
    loop: bool = False


def stamps(names: Iterable[str], namespace: Mapping[str, Any]) -> dict[str, object]:
    """Return, for each name that holds an estimator, a mark that changes when it is fitted."""
    base = _base()
    if base is None:
        return {}
    found = {}
    for name in names:
        value = namespace.get(name)
        if isinstance(value, base):
            found[name] = _stamp(value)
    return found


def find_estimators(
    namespace: Mapping[str, Any],
    bound: Iterable[str],
    code: CellCode | None,
    before: Mapping[str, object],
) -> tuple[Found, ...]:
    """Return the estimators that the cell bound or fitted, in the order it named them.

    ``before`` are the ``stamps`` from before the cell of the names it reads: one that changed was
    fitted here, by whatever function.  An object under two names counts once, parts of another
    one that was found (steps of a pipeline, the best of a search) do not count.
    """
    base = _base()
    if base is None:
        return ()
    fits = {fit.receiver for fit in code.fits if fit.receiver} if code is not None else set()
    loops = {n for n, k in code.kinds.items() if "loop" in k} if code is not None else set()
    names = list(dict.fromkeys([*bound, *(n for n in before if n not in loops), *fits]))
    names.sort(
        key=lambda name: name in loops
    )  # A loop variable names it only if nothing else does.
    bound_set = set(bound)
    found: dict[int, Found] = {}
    for name in names:
        value = namespace.get(name)
        if name[:1] == "_" or not isinstance(value, base) or id(value) in found:
            continue
        touched = name in bound_set or name in fits or before.get(name) != _stamp(value)
        if touched and _is_fitted(value, name in fits):
            found[id(value)] = Found(name, value, is_predictor(value), name in loops)
    if len(found) > 1:
        parts: set[int] = set()
        for item in found.values():
            parts.update(i for i in _parts(item.model, base) if i != id(item.model))
        found = {i: item for i, item in found.items() if i not in parts}
    return tuple(found.values())


def choose(found: Iterable[Found]) -> Found | None:
    """The one to register: the last that predicts, a loop variable last, else a transformer."""
    ranked = sorted(found, key=lambda item: (item.predictor, not item.loop))  # stable
    return ranked[-1] if ranked else None


def is_predictor(model: Any) -> bool:
    """Whether the estimator has a ``predict`` (for a search or a pipeline: its last step has)."""
    try:
        return callable(getattr(model, "predict", None))
    except Exception:
        return False


def example(
    found: Found, namespace: Mapping[str, Any], code: CellCode | None, read: Iterable[str] = ()
) -> tuple[str | None, Any]:
    """Return ``(name, first rows)`` of what the estimator was fitted on, each ``None`` if unknown.

    The argument of the ``fit`` in this cell where that is a plain name and still fits; else a frame
    or array whose columns are the ones the estimator has seen, those that the cell reads first.
    The name is ``None`` unless it was the argument itself.
    """
    for fit in reversed(code.fits if code is not None else ()):
        if fit.data is not None and found.name in (fit.receiver, fit.target):
            data: Any = namespace.get(fit.data)
            if _matches(found.model, data):
                return fit.data, _head(data)
            break
    columns = _columns(found.model)
    count = _guarded(found.model, "n_features_in_")
    if columns is None and count is None:
        return None, None
    others = [name for name in list(namespace) if name[:1] != "_"]
    for exact in (True, False):
        for name in dict.fromkeys([*read, *others]):
            data = namespace.get(name)
            if exact and _is_matrix(data) and _matches(found.model, data, guess=True):
                return None, _head(data)
            if not exact and columns and _is_frame(data) and set(columns) <= set(data.columns):
                head = _head(data)
                return None, None if head is None else head[columns]
    return None, None


def _base() -> type | None:
    base = getattr(sys.modules.get("sklearn.base"), "BaseEstimator", None)
    return base if isinstance(base, type) else None


def _stamp(model: Any) -> object:
    try:
        return tuple(sorted((k, id(v)) for k, v in vars(model).items() if _is_learned(k)))
    except TypeError:  # no __dict__
        return ()


def _is_learned(attribute: str) -> bool:
    return attribute.endswith("_") and not attribute.startswith("__")


def _is_fitted(model: Any, named_fit: bool) -> bool:
    check = getattr(sys.modules.get("sklearn.utils.validation"), "check_is_fitted", None)
    if isinstance(model, type) or check is None or not hasattr(model, "fit"):
        return False
    try:
        check(model)
    except Exception:  # NotFittedError, or whatever the person's own estimator raises
        return False
    # Stateless transformers pass the check without ever having been fitted.
    return named_fit or _has_state(model) or any(map(_is_learned, getattr(model, "__dict__", {})))


def _has_state(model: Any) -> bool:
    """Whether an estimator that says itself when it is fitted has anything to fit."""
    if not hasattr(type(model), "__sklearn_is_fitted__"):
        return False
    tags = getattr(sys.modules.get("sklearn.utils"), "get_tags", None)
    try:
        if tags is not None:
            return bool(tags(model).requires_fit)
        return bool(model._get_tags()["requires_fit"])  # scikit-learn before 1.6
    except Exception:
        return True


def _parts(model: Any, base: type) -> Iterator[int]:
    """Ids of the estimators inside one, itself included."""
    todo, seen = [model], set[int]()
    while todo and len(seen) < _NODES:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, base):
            yield id(value)
            todo.extend(getattr(value, "__dict__", {}).values())
        elif isinstance(value, (list, tuple)):
            # A long list of numbers is no list of estimators: its head tells.
            if len(value) <= 1000 or any(isinstance(v, (base, tuple)) for v in value[:10]):
                todo.extend(value)
        elif isinstance(value, dict):
            todo.extend(value.values())
        elif getattr(getattr(value, "dtype", None), "kind", "") == "O" and hasattr(value, "flat"):
            todo.extend(list(value.flat[:_NODES]))


def _guarded(model: Any, attribute: str) -> Any:
    try:
        return getattr(model, attribute, None)
    except Exception:
        return None


def _columns(model: Any) -> list[str] | None:
    names = _guarded(model, "feature_names_in_")
    return None if names is None else [str(name) for name in names]


def _matches(model: Any, data: Any, *, guess: bool = False) -> bool:
    """Whether ``data`` can be what the model was fitted on, as far as it tells.

    For a ``guess`` a frame with named columns is not taken where the model knows of no names.
    """
    if data is None:
        return False
    columns, count = _columns(model), _guarded(model, "n_features_in_")
    if columns is not None:
        return _is_frame(data) and [str(c) for c in data.columns] == columns
    if guess and _is_frame(data) and all(isinstance(c, str) for c in data.columns):
        return False
    return count is None or not _is_matrix(data) or bool(data.shape[1] == count)


# The type is asked, not the object: a proxy's `__getattr__` may do anything.
def _is_frame(data: Any) -> bool:
    return hasattr(type(data), "columns") and _is_matrix(data)


def _is_matrix(data: Any) -> bool:
    return hasattr(type(data), "shape") and len(data.shape) == 2


def _head(data: Any) -> Any:
    """The first rows, copied so that they hold on to nothing else; ``None`` for anything odd."""
    try:
        if hasattr(data, "iloc"):  # pandas: a slice may share whole buffers, `take` does not
            return data.take(range(min(ROWS, len(data))))
        if hasattr(data, "columns") and hasattr(data, "head"):  # polars
            return data.head(ROWS)
        if isinstance(data, (list, tuple)):
            return list(data[:ROWS])
        if getattr(data, "shape", None):
            return data[:ROWS].copy()
    except Exception:
        return None
    return None
