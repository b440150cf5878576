"""Fitted models of a cell, and a few rows of what they were fitted on.

Which objects are models says ``model_kinds``; nothing is imported for it.  Every look at a model
may run the person's code and is guarded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .cellcode import CellCode
from .model_examples import example
from .model_kinds import (
    Found,
    flavor_of,
    is_fitted,
    is_predictor,
    looked_up,
    stamp_of,
    torch_modules,
)

__all__ = ["Found", "choose", "example", "find_estimators", "is_predictor", "stamps"]

_NODES = 20_000  # How far into models and their lists components are looked for.


def stamps(names: Iterable[str], namespace: Mapping[str, Any]) -> dict[str, object]:
    """Return, for each name that holds a model, a mark that changes when it is fitted."""
    found = {}
    for name in names:
        value = namespace.get(name)
        flavor = flavor_of(value)
        if flavor is not None:
            found[name] = stamp_of(value, flavor)
    return found


def find_estimators(
    namespace: Mapping[str, Any],
    bound: Iterable[str],
    code: CellCode | None,
    before: Mapping[str, object],
) -> tuple[Found, ...]:
    """Return the models that the cell bound or fitted, in the order it named them.

    ``before`` are the ``stamps`` from before the cell of the names it reads: one that changed was
    fitted here, by whatever function.  An object under two names counts once, parts of another
    one that was found (steps of a pipeline, the best of a search) do not count.
    """
    fits = {fit.receiver for fit in code.fits if fit.receiver} if code is not None else set()
    named = fits | ({fit.target for fit in code.fits} if code is not None else set())
    loops = {n for n, k in code.kinds.items() if "loop" in k} if code is not None else set()
    names = list(dict.fromkeys([*bound, *(n for n in before if n not in loops), *fits]))
    names.sort(
        key=lambda name: name in loops
    )  # A loop variable names it only if nothing else does.
    bound_set = set(bound)
    found: dict[int, Found] = {}
    for name in names:
        value = namespace.get(name)
        flavor = flavor_of(value) if name[:1] != "_" else None
        if flavor is None or id(value) in found:
            continue
        refitted = name in before and before[name] != stamp_of(value, flavor)
        if not refitted and name not in bound_set and name not in fits:
            continue
        # A new mark on the same object, or a result of ``fit``, says more than its attributes do.
        sure = name in (fits if flavor == "sklearn" else named) or (
            refitted and name not in bound_set and flavor != "sklearn"
        )
        if is_fitted(value, flavor, named=sure):
            found[id(value)] = Found(name, value, is_predictor(value), name in loops, flavor)
    if len(found) > 1:
        parts: set[int] = set()
        for item in found.values():
            parts.update(i for i in _parts(item.model) if i != id(item.model))
        found = {i: item for i, item in found.items() if i not in parts}
    return tuple(found.values())


def choose(found: Iterable[Found]) -> Found | None:
    """The one to register: the last that predicts, a loop variable last, else a transformer."""
    ranked = sorted(found, key=lambda item: (item.predictor, not item.loop))  # stable
    return ranked[-1] if ranked else None


def _parts(model: Any) -> Iterator[int]:
    """Ids of the models inside one, itself included."""
    todo, seen = [model], set[int]()
    while todo and len(seen) < _NODES:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        flavor = flavor_of(value)
        if flavor == "pytorch":
            yield from map(id, torch_modules(value))
        elif flavor is not None:
            yield id(value)
            todo.extend(getattr(value, "__dict__", {}).values())
            if flavor == "keras":
                todo.extend(looked_up(value, "layers") or ())
        elif isinstance(value, (list, tuple)):
            # A long list of numbers is no list of models: its head tells.
            if len(value) <= 1000 or any(
                isinstance(v, tuple) or flavor_of(v) is not None for v in value[:10]
            ):
                todo.extend(value)
        elif isinstance(value, dict):
            todo.extend(value.values())
        elif getattr(getattr(value, "dtype", None), "kind", "") == "O" and hasattr(value, "flat"):
            todo.extend(list(value.flat[:_NODES]))
