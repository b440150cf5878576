"""A few rows of what a model was fitted on: its input example."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .cellcode import CellCode
from .model_kinds import Found, flavor_of, looked_up, torch_modules

__all__ = ["example"]

ROWS = 5


def example(
    found: Found, namespace: Mapping[str, Any], code: CellCode | None, read: Iterable[str] = ()
) -> tuple[str | None, Any]:
    """Return ``(name, first rows)`` of what the model was fitted on, each ``None`` if unknown.

    The argument of the ``fit`` in this cell where that is a plain name and still fits; what the
    model itself keeps of it (statsmodels); else a frame or array whose columns are the ones the
    model has seen, those that the cell reads first.  For a PyTorch module it is a tensor that it is
    called on, or that its first layer takes.  The name is ``None`` unless it was the argument
    itself.
    """
    for fit in reversed(code.fits if code is not None else ()):
        if fit.data is not None and found.name in (fit.receiver, fit.target):
            data: Any = namespace.get(fit.data)
            if _matches(found.model, data):
                return fit.data, _head(data)
            break
    if found.flavor == "statsmodels":
        return None, _head(_own_rows(found.model))
    if found.flavor == "pytorch":
        called = namespace.get(code.calls.get(found.name, "")) if code is not None else None
        if _is_tensor(called):
            return None, _head(called)
    columns, count = _columns(found.model), _count(found.model)
    if columns is None and count is None:
        return None, None
    others = [name for name in list(namespace) if name[:1] != "_"]
    for exact in (True, False):
        for name in dict.fromkeys([*read, *others]):
            data = namespace.get(name)
            if found.flavor == "pytorch":
                if exact and _fits_network(found.model, data):
                    return None, _head(data)
                continue
            if exact and _is_matrix(data) and _matches(found.model, data, guess=True):
                return None, _head(data)
            if not exact and columns and _is_frame(data) and set(columns) <= set(data.columns):
                head = _head(data)
                return None, None if head is None else head[columns]
    return None, None


def _columns(model: Any) -> list[str] | None:
    """The columns of the frame that a model was fitted on, as far as it tells."""
    flavor = flavor_of(model)
    names = looked_up(model, "feature_names_in_")
    if names is None and type(model).__name__ == "Booster":
        if flavor == "xgboost":
            names = looked_up(model, "feature_names")
        else:
            names = _called(model, "feature_name")
            # LightGBM's own names for the columns of an array
            if names and all(name == f"Column_{i}" for i, name in enumerate(names)):
                names = None
    return None if names is None else [str(name) for name in names]


def _count(model: Any) -> int | None:
    """How many columns a model takes, as far as it tells."""
    flavor = flavor_of(model)
    found: Any = None
    if flavor == "pytorch":
        found = next(_widths(model), (None, None))[1]
    elif flavor == "keras":
        shape = looked_up(model, "input_shape")
        found = shape[1] if isinstance(shape, tuple) and len(shape) == 2 else None
    elif type(model).__name__ == "Booster":
        found = _called(model, "num_features" if flavor == "xgboost" else "num_feature")
    else:
        found = looked_up(model, "n_features_in_")
    return found if isinstance(found, int) else None


def _widths(module: Any) -> Iterator[tuple[int, int]]:
    """``(axis, width)`` of what the layers of a network take, in the order they were made."""
    for part in torch_modules(module):
        for attribute, axis in (("in_features", -1), ("in_channels", 1), ("input_size", -1)):
            width = part.__dict__.get(attribute)
            if isinstance(width, int):
                yield axis, width


def _called(model: Any, method: str) -> Any:
    try:
        return getattr(model, method)()
    except Exception:
        return None


def _own_rows(result: Any) -> Any:
    """What a statsmodels result keeps of the data it was fitted on; ``None`` for a time series."""
    data = looked_up(result, "model", "data")
    if looked_up(result, "model", "formula") is not None:
        return looked_up(data, "frame")
    if looked_up(result, "forecast") is not None:
        return None  # What these predict from is a span of time.
    rows = looked_up(data, "orig_exog")
    return looked_up(result, "model", "exog") if rows is None else rows


def _matches(model: Any, data: Any, *, guess: bool = False) -> bool:
    """Whether ``data`` can be what the model was fitted on, as far as it tells.

    For a ``guess`` a frame with named columns is not taken where the model knows of no names.
    """
    if data is None:
        return False
    columns, count = _columns(model), _count(model)
    if columns is not None:
        return _is_frame(data) and [str(c) for c in data.columns] == columns
    if guess and _is_frame(data) and all(isinstance(c, str) for c in data.columns):
        return False
    return count is None or not _is_matrix(data) or bool(data.shape[1] == count)


def _fits_network(module: Any, data: Any) -> bool:
    """Whether a tensor of numbers has the width that the first layer of a network takes."""
    if not _is_tensor(data) or not data.is_floating_point():
        return False
    axis, width = next(_widths(module), (0, -1))
    return len(data.shape) >= 2 and bool(data.shape[axis] == width)


# The type is asked, not the object: a proxy's `__getattr__` may do anything.
def _is_tensor(data: Any) -> bool:
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return isinstance(tensor, type) and issubclass(type(data), tensor)


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
        if _is_tensor(data):
            return data[:ROWS].detach().cpu().numpy().copy()
        if getattr(data, "shape", None):
            return data[:ROWS].copy()
    except Exception:
        return None
    return None
