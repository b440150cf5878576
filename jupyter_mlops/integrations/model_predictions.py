"""Asking a model of any flavor for predictions, and comparing those of two copies of it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from ..errors import MlopsError

__all__ = ["compare", "predict"]

_ROWS = 8  # rows made up for the comparison where there is no example
# An exported network runs the same arithmetic, maybe in another order: float32 keeps 7 digits.
_NEARLY = ("keras", "pytorch")
_RELATIVE, _ABSOLUTE = 1e-5, 1e-6


def predict(model: Any, flavor: str, rows: Any) -> Any:
    """What the model says about ``rows``, as an array or a table; ``None`` if it says nothing.

    ``rows`` is ``None`` for a statistical model that is asked about the data it was fitted on.
    """
    if flavor == "pytorch":
        return _network(model, rows)
    if flavor == "keras":
        return model.predict(_array(rows), verbose=0)
    if flavor == "statsmodels":
        return model.predict() if rows is None else model.predict(rows)
    if flavor == "xgboost" and type(model).__name__ == "Booster":
        import xgboost

        return model.predict(xgboost.DMatrix(rows))
    for method in ("predict", "transform"):
        if hasattr(model, method):
            return getattr(model, method)(rows)
    return None


def compare(model: Any, stored: Any, flavor: str, rows: Any) -> str:
    """Compare the stored copy with the model; say how, or raise ``MlopsError``."""
    probe = _probe(model, flavor) if rows is None else rows
    if probe is None and flavor != "statsmodels":
        return "loads; there is no example to compare predictions on"
    try:
        wanted, again = predict(model, flavor, probe), predict(model, flavor, probe)
    except Exception as error:
        return f"loads; the example cannot be scored ({type(error).__name__})"
    if wanted is None:
        return "loads; it does not predict"
    if not _equal(wanted, again):
        return "loads; its predictions are random"
    found = predict(stored, flavor, probe)
    if _equal(wanted, found):
        how = "are equal"
    elif flavor in _NEARLY and _equal(wanted, found, nearly=True):
        how = f"are equal within {_RELATIVE:g}"
    else:
        raise MlopsError("its stored copy predicts something else on the example")
    if probe is None:
        return f"predictions for the {_length(wanted)} rows it was fitted on {how}"
    kind = "made-up rows" if rows is None else "rows"
    return f"predictions of {_length(probe)} {kind} {how}"


def _network(model: Any, rows: Any) -> Any:
    """The outputs of a PyTorch module, without gradients and without changing its mode."""
    import torch

    first = next(iter(model.parameters()), None)
    given = torch.from_numpy(_array(rows))
    if first is not None and given.is_floating_point():
        given = given.to(first.dtype)
    modes = [(part, part.training) for part in model.modules()]
    try:
        for part, _ in modes:
            part.training = False
        with torch.no_grad():
            return _detached(model(given))
    finally:
        for part, mode in modes:
            part.training = mode


def _detached(value: Any) -> Any:
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    if isinstance(value, Mapping):
        return {str(name): _detached(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_detached(item) for item in value]
    return value


def _array(rows: Any) -> Any:
    import numpy

    return rows.to_numpy() if hasattr(rows, "to_numpy") else numpy.asarray(rows)


def _probe(model: Any, flavor: str) -> Any:
    """Rows for a model that came without an example, from what it says about its input."""
    import numpy

    count, names = getattr(model, "n_features_in_", None), None
    if type(model).__name__ == "Booster" and flavor == "xgboost":
        count, names = model.num_features(), model.feature_names
    elif type(model).__name__ == "Booster":
        count = model.num_feature()
    elif flavor == "keras":
        shape = getattr(model, "input_shape", None)
        count = shape[1] if isinstance(shape, tuple) and len(shape) == 2 else None
    else:
        with contextlib.suppress(AttributeError):  # a property of XGBoost's estimators
            names = getattr(model, "feature_names_in_", None)
    if not isinstance(count, int) or count < 1:
        return None
    values = numpy.linspace(-2.0, 3.0, _ROWS * count).reshape(_ROWS, count)
    if names is None:
        return values
    import pandas

    return pandas.DataFrame(values, columns=list(names))


def _equal(one: Any, other: Any, *, nearly: bool = False) -> bool:
    import numpy
    import scipy.sparse

    if isinstance(one, dict):  # a network with several outputs
        return isinstance(other, dict) and (
            list(one) == list(other)
            and all(_equal(one[name], other[name], nearly=nearly) for name in one)
        )
    if isinstance(one, list) and any(isinstance(item, numpy.ndarray) for item in one):
        return isinstance(other, list) and (
            len(one) == len(other)
            and all(_equal(a, b, nearly=nearly) for a, b in zip(one, other, strict=True))
        )
    if scipy.sparse.issparse(one):
        return bool(scipy.sparse.issparse(other)) and bool((one != other).nnz == 0)
    one, other = numpy.asarray(one), numpy.asarray(other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if nearly and one.dtype.kind in "fc":
        return bool(numpy.allclose(one, other, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True))
    if one.dtype.kind in "fc":
        return bool(numpy.array_equal(one, other, equal_nan=True))
    return bool(numpy.array_equal(one, other))


def _length(rows: Any) -> int:
    shape = getattr(rows, "shape", None)
    return int(shape[0]) if shape else len(rows)
