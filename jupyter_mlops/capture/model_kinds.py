"""What is a model, whether it is fitted, and a mark that changes when it is fitted again.

A kind is told from the names of an object's classes, so that no library is imported for it and no
method of the object runs.  What a kind's attributes say is asked through ``looked_up``, which keeps
whatever they raise away from the person's cell.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

__all__ = [
    "FLAVORS",
    "Found",
    "flavor_of",
    "is_fitted",
    "is_predictor",
    "looked_up",
    "stamp_of",
    "torch_modules",
    "torch_parameters",
]

FLAVORS = ("sklearn", "xgboost", "lightgbm", "pytorch", "keras", "statsmodels", "python")

# (module, name) of the classes whose descendants are models; the first in an object's order of
# classes decides, so that XGBoost's estimators are XGBoost's although they are scikit-learn's, too.
_BASES: dict[tuple[str, str], str | None] = {
    ("xgboost.sklearn", "XGBModel"): "xgboost",
    ("xgboost.core", "Booster"): "xgboost",
    ("lightgbm.sklearn", "LGBMModel"): "lightgbm",
    ("lightgbm.basic", "Booster"): "lightgbm",
    ("keras.src.models.model", "Model"): "keras",
    ("torch.nn.modules.module", "Module"): "pytorch",
    ("statsmodels.base.wrapper", "ResultsWrapper"): "statsmodels",
    ("statsmodels.base.model", "Results"): "statsmodels",
    ("statsmodels.base.model", "Model"): None,  # has fit and predict, and is never fitted itself
    ("sklearn.base", "BaseEstimator"): "sklearn",
}
# They have fit and predict, and run models instead of being one.
_RUNNERS = ("lightning", "lightning_fabric", "pytorch_lightning")

_ATTRIBUTES = 1000  # An object with more is a container: its identity is its mark.
_PARAMETERS = 64  # of a network are looked at; training changes all of them
_FRESH = 4  # changes in place that making and initialising a parameter may have taken


@dataclass(frozen=True, slots=True)
class Found:
    """A fitted model under the name that the cell gave it.

    ``flavor`` is as in ``ModelRecord``; ``loop`` says that only a loop variable names it.
    """

    name: str
    model: Any
    predictor: bool
    loop: bool = False
    flavor: str = "sklearn"


_flavors: WeakKeyDictionary[type, str | None] = WeakKeyDictionary()


def flavor_of(value: Any) -> str | None:
    """Return MLflow's name for the kind of model that an object is, ``None`` if it is no model.

    ``python`` is any other object whose class has ``fit`` and ``predict``.  The object's own
    attributes are not asked.
    """
    kind = type(value)
    try:
        return _flavors[kind]
    except KeyError:
        pass
    except Exception:  # a metaclass without a hash
        return None
    try:
        found, final = _classify(kind)
    except Exception:  # a metaclass with a mind of its own
        found, final = None, True
    if final:
        _flavors[kind] = found
    return found


def is_fitted(value: Any, flavor: str, *, named: bool) -> bool:
    """Whether a model has been fitted; ``named`` says that the cell calls its ``fit`` by name."""
    try:
        return _FITTED[flavor](value, named)
    except Exception:  # the person's own class
        return False


def is_predictor(model: Any) -> bool:
    """Whether the model predicts (for a search or a pipeline: its last step does)."""
    if flavor_of(model) == "pytorch":
        return True  # It is called itself.
    return callable(looked_up(model, "predict"))


def stamp_of(value: Any, flavor: str) -> object:
    """Return a mark that is another one after the model has been fitted, also in place."""
    try:
        return _STAMPS[flavor](value)
    except Exception:
        return ()


def looked_up(value: Any, *attributes: str) -> Any:
    """``value.a.b`` for the attributes ``a, b``; ``None`` where one is not there or raises."""
    try:
        for name in attributes:
            value = getattr(value, name, None)
            if value is None:
                return None
    except Exception:
        return None
    return value


def torch_modules(module: Any) -> Iterator[Any]:
    """A torch module and those inside it, each once, read without calling any of their methods."""
    todo, seen = [module], set[int]()
    while todo:
        part = todo.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        todo.extend(reversed(part.__dict__.get("_modules", {}).values()))


def torch_parameters(module: Any) -> Iterator[Any]:
    """The parameters of a torch module and of those inside it."""
    for part in torch_modules(module):
        for parameter in part.__dict__.get("_parameters", {}).values():
            if parameter is not None:
                yield parameter


def _classify(kind: type) -> tuple[str | None, bool]:
    """``(flavor, whether that stays so)``: a library may be half loaded at the moment."""
    if kind.__module__ == "builtins" or issubclass(kind, type):
        return None, True
    order = kind.__mro__
    for base in order:
        key = (base.__module__, base.__name__)
        if key in _BASES:
            # A class of this name that is not the library's own is no such model.
            if getattr(sys.modules.get(key[0]), key[1], None) is base:
                return _BASES[key], True
            return None, False
    if str(kind.__module__).partition(".")[0] in _RUNNERS:
        return None, True

    def has(name: str) -> bool:
        return callable(next((vars(base)[name] for base in order if name in vars(base)), None))

    return ("python" if has("fit") and has("predict") else None), True


def _is_learned(attribute: str) -> bool:
    return attribute.endswith("_") and not attribute.startswith("__")


def _sklearn_fitted(model: Any, named: bool) -> bool:
    check = getattr(sys.modules.get("sklearn.utils.validation"), "check_is_fitted", None)
    if check is None or not hasattr(model, "fit"):
        return False
    check(model)  # raises NotFittedError, or whatever the person's own estimator raises
    # Stateless transformers pass the check without ever having been fitted.
    return named or _has_state(model) or any(map(_is_learned, getattr(model, "__dict__", {})))


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


def _sklearn_stamp(model: Any) -> object:
    attributes = vars(model)
    own = tuple(sorted((k, id(v)) for k, v in attributes.items() if _is_learned(k)))
    steps = attributes.get("steps")
    if own or not isinstance(steps, list):
        return own
    # A pipeline learns nothing itself: its steps do.
    return tuple(
        stamp_of(step[-1], flavor)
        for step in steps
        if isinstance(step, tuple) and (flavor := flavor_of(step[-1])) is not None
    )


def _booster_fitted(model: Any, named: bool) -> bool:
    if type(model).__name__ == "Booster":
        return True  # There is none before training has begun.
    return getattr(model, "_Booster", None) is not None


def _xgboost_stamp(model: Any) -> object:
    attributes = vars(model)
    if "_Booster" in attributes or not hasattr(model, "num_boosted_rounds"):
        return id(attributes.get("_Booster"))
    return id(model), model.num_boosted_rounds()


def _lightgbm_stamp(model: Any) -> object:
    attributes = vars(model)
    if "_Booster" in attributes:
        return id(attributes["_Booster"])
    return id(model), model.current_iteration()


def _torch_fitted(model: Any, named: bool) -> bool:
    parameters = list(islice(torch_parameters(model), _PARAMETERS))
    if not parameters:
        return False  # a loss, an activation
    return named or any(p.grad is not None or p._version > _FRESH for p in parameters)


def _torch_stamp(model: Any) -> object:
    # Optimizers change parameters in place, which PyTorch counts; the fused ones don't count, but
    # each backward pass before them leaves gradients that are new or were changed.
    return tuple(
        (id(p), p._version) if p.grad is None else (id(p), p._version, id(p.grad), p.grad._version)
        for p in islice(torch_parameters(model), _PARAMETERS)
    )


def _keras_steps(model: Any) -> int | None:
    steps = looked_up(model, "optimizer", "iterations")
    if steps is None:
        return None
    value = looked_up(steps, "value")
    return int(steps.numpy() if callable(value) or value is None else value)


def _keras_fitted(model: Any, named: bool) -> bool:
    return named or looked_up(model, "history") is not None or bool(_keras_steps(model))


def _keras_stamp(model: Any) -> object:
    return id(looked_up(model, "history")), _keras_steps(model)


def _result_fitted(model: Any, named: bool) -> bool:
    return True  # There is no result before the fit.


def _python_stamp(model: Any) -> object:
    attributes = vars(model)
    if len(attributes) > _ATTRIBUTES:
        return len(attributes)
    return tuple((name, id(value)) for name, value in attributes.items())


def _python_fitted(model: Any, named: bool) -> bool:
    """An object that has more than what its ``__init__`` was given has learned something."""
    if named:
        return True
    given: set[str] = set()
    for base in type(model).__mro__:
        code = getattr(vars(base).get("__init__"), "__code__", None)
        if code is not None:
            given.update(code.co_varnames[: code.co_argcount], code.co_names)
    return any(
        value is not None
        and (_is_learned(name) or (name not in given and name.lstrip("_") not in given))
        for name, value in vars(model).items()
    )


_FITTED: dict[str, Callable[[Any, bool], bool]] = {
    "sklearn": _sklearn_fitted,
    "xgboost": _booster_fitted,
    "lightgbm": _booster_fitted,
    "pytorch": _torch_fitted,
    "keras": _keras_fitted,
    "statsmodels": _result_fitted,
    "python": _python_fitted,
}
_STAMPS: dict[str, Callable[[Any], object]] = {
    "sklearn": _sklearn_stamp,
    "xgboost": _xgboost_stamp,
    "lightgbm": _lightgbm_stamp,
    "pytorch": _torch_stamp,
    "keras": _keras_stamp,
    "statsmodels": id,
    "python": _python_stamp,
}
