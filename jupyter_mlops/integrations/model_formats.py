"""The format that a model is stored in: the safest that its flavor has and that can hold it.

skops, XGBoost's and LightGBM's own files, Keras' archive and PyTorch's exported graph hold a model
without code of anybody's.  What none of them holds is stored as a pickle, and only by consent,
since whoever loads that runs what is in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MlopsError, UntrustedError
from ..model.events import ModelRecord
from .model_description import describe, pins
from .skops_codec import SkopsCodec

__all__ = ["Stored", "write"]

HOW_TO_CONSENT = (
    "To store it as a pickle, which runs the code in it when it is loaded, set "
    "`trust_pickle = true` under [tool.jupyter-mlops] in pyproject.toml, or track the cell with "
    "`%%track --allow-pickle`."
)


@dataclass(frozen=True, slots=True)
class Stored:
    """How a folder holds its model: ``flavor`` is MLflow's, ``file`` what loading reads.

    ``format`` is ``skops``, ``ubj``, ``text``, ``keras``, ``pt2`` or ``pickle``.
    """

    flavor: str
    format: str
    file: str


class _CannotHold(Exception):
    """A format without code cannot hold the model; the reason, and the types that are why."""

    def __init__(self, reason: str, types: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.types = types


def write(model: Any, rows: Any, record: ModelRecord, codec: SkopsCodec, target: Path) -> Stored:
    """Write the MLflow model folder ``target``.

    Raises ``UntrustedError`` with the types that are the reason, and the way to consent, where only
    a pickle can hold the model and ``record.consent`` is ``None``.
    """
    flavor = record.flavor
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    safe = _SAFE.get(flavor)
    if safe is None and flavor not in ("statsmodels", "python"):
        raise MlopsError(f"this version stores no models of the kind {flavor!r}")
    try:
        if safe is None:
            kind = _full_name(type(model))
            raise _CannotHold(f"only a pickle can hold a {kind}", (kind,))
        return safe(model, rows, record, codec, target)
    except _CannotHold as cannot:
        if record.consent is None:
            raise UntrustedError(
                cannot.reason, hint=HOW_TO_CONSENT, types=list(cannot.types)
            ) from cannot
    return _pickle(model, rows, record, target)


def _skops(model: Any, codec: SkopsCodec) -> list[str]:
    try:
        return list(codec.trusted_types(codec.dump(model)))
    except UntrustedError as error:
        types = tuple(error.fields.get("types", ()))
        raise _CannotHold(error.message, types or (_full_name(type(model)),)) from error


def _sklearn(model: Any, rows: Any, record: ModelRecord, codec: SkopsCodec, target: Path) -> Stored:
    types = _skops(model, codec)
    import mlflow.sklearn

    example, signature = describe(model, "sklearn", rows)
    mlflow.sklearn.save_model(
        model,
        target,
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        # False keeps MLflow from guessing one by a pass through its own serving code.
        signature=signature or False,
        input_example=example,
        pip_requirements=pins(record, "sklearn", example, "skops"),
        skops_trusted_types=types,
    )
    return Stored("sklearn", "skops", "model.skops")


def _xgboost(model: Any, rows: Any, record: ModelRecord, codec: SkopsCodec, target: Path) -> Stored:
    _must_be_of("xgboost", model)
    import mlflow.xgboost

    example, signature = describe(model, "xgboost", rows)
    mlflow.xgboost.save_model(
        model,
        target,
        model_format="ubj",
        signature=signature or False,
        input_example=example,
        pip_requirements=pins(record, "xgboost", example),
    )
    return Stored("xgboost", "ubj", "model.ubj")


def _lightgbm(
    model: Any, rows: Any, record: ModelRecord, codec: SkopsCodec, target: Path
) -> Stored:
    _must_be_of("lightgbm", model)
    booster = type(model).__name__ == "Booster"
    # An estimator is its booster's text, and what scikit-learn's API knows besides.
    types = None if booster else _skops(model, codec)
    import mlflow.lightgbm

    example, signature = describe(model, "lightgbm", rows)
    mlflow.lightgbm.save_model(
        model,
        target,
        serialization_format="skops",
        skops_trusted_types=types,
        signature=signature or False,
        input_example=example,
        pip_requirements=pins(record, "lightgbm", example, *(() if booster else ("skops",))),
    )
    if booster:
        return Stored("lightgbm", "text", "model.lgb")
    return Stored("lightgbm", "skops", "model.skops")


def _keras(model: Any, rows: Any, record: ModelRecord, codec: SkopsCodec, target: Path) -> Stored:
    import mlflow.keras

    example, signature = describe(model, "keras", rows)
    target.mkdir()  # MLflow writes the example before it makes the folder.
    mlflow.keras.save_model(
        model,
        str(target),
        signature=signature,
        input_example=example,
        pip_requirements=pins(record, "keras", example),
    )
    return Stored("keras", "keras", "data/model.keras")


def _pytorch(model: Any, rows: Any, record: ModelRecord, codec: SkopsCodec, target: Path) -> Stored:
    import mlflow.pytorch
    import numpy

    kind = _full_name(type(model))
    model = model.to("cpu").eval()
    example, signature = describe(model, "pytorch", rows)
    if not isinstance(example, numpy.ndarray) or signature is None or len(example) < 2:
        raise _CannotHold(
            f"{kind} cannot be exported as a graph: no rows are known that it takes; call it in the"
            " tracked cell on a tensor that has a name",
            (kind,),
        )
    first = next(iter(model.parameters()), None)
    if first is not None and example.dtype.kind == "f":
        example = example.astype(str(first.dtype).rpartition(".")[2])
        _, signature = describe(model, "pytorch", example)
    try:
        mlflow.pytorch.save_model(
            model,
            target,
            serialization_format="pt2",
            signature=signature,
            input_example=example,
            pip_requirements=pins(record, "pytorch", example),
        )
    except Exception as error:  # whatever tracing runs into
        shutil.rmtree(target, ignore_errors=True)
        line = str(error).strip().partition("\n")[0][:200]
        raise _CannotHold(f"{kind} cannot be exported as a graph: {line}", (kind,)) from error
    return Stored("pytorch", "pt2", "data/model.pt2")


_SAFE: dict[str, Callable[[Any, Any, ModelRecord, SkopsCodec, Path], Stored]] = {
    "sklearn": _sklearn,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "keras": _keras,
    "pytorch": _pytorch,
}


def _pickle(model: Any, rows: Any, record: ModelRecord, target: Path) -> Stored:
    """Store a model as MLflow pickles its flavor."""
    flavor = record.flavor
    example, signature = describe(model, flavor, rows)
    common: dict[str, Any] = {
        "signature": signature or False,
        "input_example": example,
        "pip_requirements": pins(record, flavor, example, "cloudpickle"),
    }
    if flavor == "sklearn":
        import mlflow.sklearn

        mlflow.sklearn.save_model(
            model,
            target,
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
            **common,
        )
        return Stored("sklearn", "pickle", "model.pkl")
    if flavor == "statsmodels":
        import mlflow.statsmodels

        mlflow.statsmodels.save_model(model, target, **common)
        return Stored("statsmodels", "pickle", "model.statsmodels")
    if flavor == "pytorch":
        import mlflow.pytorch

        mlflow.pytorch.save_model(
            model.to("cpu").eval(), target, serialization_format="pickle", **common
        )
        return Stored("pytorch", "pickle", "data/model.pth")
    import mlflow.pyfunc

    mlflow.pyfunc.save_model(target, python_model=_python_model(model), **common)
    return Stored("python_function", "pickle", "python_model.pkl")


def _python_model(model: Any) -> Any:
    """The object as MLflow's kind of model.  The class is local so that it goes by value."""
    from mlflow.pyfunc.model import PythonModel

    class Predicts(PythonModel):
        """Hands what MLflow is given to the object's own ``predict``."""

        # MLflow would check the input against type hints, and warn whoever defines or loads a class
        # without any; nothing is known of what the object takes but its signature.
        _skip_type_hint_validation = True

        def __init__(self, model: Any) -> None:
            self.model = model

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return self.model.predict(model_input)

    return Predicts(model)


def _must_be_of(package: str, model: Any) -> None:
    """A subclass of the person's own is more than what the library's file holds."""
    kind = _full_name(type(model))
    if kind.partition(".")[0] != package:
        raise _CannotHold(f"{package}'s own files do not hold a {kind}", (kind,))


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
