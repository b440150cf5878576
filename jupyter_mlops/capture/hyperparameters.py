"""What fitted models say of how they were made: hyperparameters, as plain JSON values.

The names are those that the library itself gives them: scikit-learn's ``get_params(deep=True)``, so
that a parameter of a pipeline's step is ``clf__C``; of a search also what it found best.
"""

from __future__ import annotations

import inspect
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from .model_kinds import Found, flavor_of, looked_up, torch_modules, torch_parameters

__all__ = ["hyperparameters"]

_NAMES = 200
_CHARACTERS = 500
_ITEMS = 20  # of a list or an array; a longer one is data, and is summarised
_DEPTH = 4

_Pairs = Iterator[tuple[str, Any]]


def hyperparameters(found: Sequence[Found]) -> dict[str, Any]:
    """Return the hyperparameters of a cell's models: at most 200, each of at most 500 characters.

    One model's have the names that its library gives them; with several models they are
    ``<name>.<parameter>``.  Estimators in them are shown by their class, functions by their
    qualified name, arrays by their shape.  What cannot be read is left away; nothing is raised.
    """
    result: dict[str, Any] = {}
    for item in found:
        prefix = f"{item.name}." if len(found) > 1 else ""
        try:
            for name, value in _SOURCES[item.flavor](item.model):
                if len(result) >= _NAMES:
                    return result
                result[(prefix + str(name))[:_CHARACTERS]] = _bounded(value)
        except Exception:  # noqa: S112 - the person's own class; the other models still count
            continue
    return result


def _sklearn(model: Any) -> _Pairs:
    yield from model.get_params(deep=True).items()
    best = looked_up(model, "best_params_")
    if isinstance(best, Mapping):
        for name, value in best.items():
            yield f"best_params.{name}", value


def _xgboost(model: Any) -> _Pairs:
    if type(model).__name__ != "Booster":
        # ``None`` is XGBoost's word for what was not given.
        yield from ((n, v) for n, v in model.get_params().items() if v is not None)
        return
    yield "num_boost_round", model.num_boosted_rounds()
    learner = json.loads(model.save_config())["learner"]
    yield "objective", learner.get("objective", {}).get("name")
    booster = learner.get("gradient_booster", {})
    yield "booster", booster.get("name")
    for part in (booster, booster.get("tree_train_param"), booster.get("gbtree_train_param")):
        for name, value in (part or {}).items():
            if not isinstance(value, (dict, list)) and name != "name":
                yield name, _number(value)


def _lightgbm(model: Any) -> _Pairs:
    if type(model).__name__ != "Booster":
        yield from model.get_params().items()
        return
    yield from model.params.items()
    yield "num_trees", model.num_trees()


def _pytorch(model: Any) -> _Pairs:
    yield "class", _qualified(type(model))
    parameters = list(torch_parameters(model))
    yield "parameters", sum(p.numel() for p in parameters)
    yield "trainable_parameters", sum(p.numel() for p in parameters if p.requires_grad)
    leaves = Counter(
        type(part).__name__ for part in torch_modules(model) if not part.__dict__.get("_modules")
    )
    yield "layers", ", ".join(n if c == 1 else f"{n} x {c}" for n, c in leaves.items())


def _keras(model: Any) -> _Pairs:
    yield "class", _qualified(type(model))
    yield "parameters", model.count_params()
    layers = Counter(type(layer).__name__ for layer in model.layers)
    yield "layers", ", ".join(n if c == 1 else f"{n} x {c}" for n, c in layers.items())
    if looked_up(model, "loss") is not None:
        yield "loss", model.loss
    optimizer = looked_up(model, "optimizer")
    if optimizer is not None:
        yield "optimizer", type(optimizer).__name__
        for name, value in optimizer.get_config().items():
            if name != "name" and value is not None:
                yield f"optimizer.{name}", value
    for name, value in (looked_up(model, "history", "params") or {}).items():
        yield name, value


def _statsmodels(result: Any) -> _Pairs:
    model = looked_up(result, "model")
    yield "class", type(model).__name__
    for name, path in (
        ("formula", ("formula",)),
        ("endog", ("endog_names",)),
        ("order", ("order",)),
        ("seasonal_order", ("seasonal_order",)),
        ("trend", ("trend",)),
    ):
        value = looked_up(model, *path)
        if value is not None:
            yield name, value
    family = looked_up(model, "family")
    if family is not None:
        yield "family", type(family).__name__
        yield "link", type(looked_up(family, "link")).__name__
    for name in ("cov_type", "method"):
        value = looked_up(result, name)
        if isinstance(value, str):
            yield name, value


def _python(model: Any) -> _Pairs:
    given = looked_up(model, "get_params")
    if callable(given):
        values = given()
        if isinstance(values, Mapping):
            yield from values.items()
            return
    attributes = vars(model)
    for name in inspect.signature(type(model)).parameters:
        if name in attributes:
            yield name, attributes[name]


_SOURCES: dict[str, Callable[[Any], _Pairs]] = {
    "sklearn": _sklearn,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "pytorch": _pytorch,
    "keras": _keras,
    "statsmodels": _statsmodels,
    "python": _python,
}


def _bounded(value: Any) -> Any:
    plain = _plain(value, 0)
    if isinstance(plain, str):
        return plain if len(plain) <= _CHARACTERS else plain[: _CHARACTERS - 1] + "…"
    if isinstance(plain, (list, dict)):
        text = json.dumps(plain, ensure_ascii=False)
        if len(text) > _CHARACTERS:
            return text[: _CHARACTERS - 1] + "…"
    elif type(plain) is int and abs(plain) >= 2**63:
        return str(plain)[:_CHARACTERS]
    return plain


def _plain(value: Any, depth: int) -> Any:
    """A JSON value for any object; only its type and its shape where it is not plain."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else str(value)
    kind = type(value)
    if isinstance(value, type) or callable(value):
        if flavor_of(value) is not None:
            return kind.__name__
        return _qualified(value if hasattr(value, "__qualname__") else kind)
    shape = getattr(value, "shape", None) if hasattr(kind, "shape") else None
    if isinstance(shape, tuple):
        if shape == () and hasattr(kind, "item"):
            return _plain(value.item(), depth + 1)
        if len(shape) == 1 and shape[0] <= _ITEMS and hasattr(kind, "tolist"):
            return _plain(value.tolist(), depth + 1)
        return f"{kind.__name__}({'×'.join(map(str, shape))})"
    if isinstance(value, (list, tuple, set, frozenset, Mapping)):
        if depth >= _DEPTH or len(value) > _ITEMS:
            return f"{kind.__name__} of {len(value)}"
        if isinstance(value, Mapping):
            return {str(_plain(k, depth + 1)): _plain(v, depth + 1) for k, v in value.items()}
        return [_plain(item, depth + 1) for item in islice(value, _ITEMS)]
    if isinstance(value, (range, slice, bytes, str)) or kind.__module__ in ("datetime", "decimal"):
        return str(value)
    return kind.__name__


def _qualified(value: Any) -> str:
    module = getattr(value, "__module__", None)
    name = str(getattr(value, "__qualname__", type(value).__name__))
    return name if module in (None, "builtins", "__main__") else f"{module}.{name}"


def _number(value: Any) -> Any:
    """XGBoost says numbers as texts."""
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    return value
