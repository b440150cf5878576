"""A loaded model that answers requests: body in, JSON out.

The model gets what it was fitted on: an array, or a DataFrame where it knows column names.  Making
a DataFrame costs four times a linear model's arithmetic, so that a model fitted on one is given an
array all the same where that is proven to make no difference: all columns are numbers, every part
of the model is scikit-learn's own and looks at no names, and the stored example gives the same
predictions, bit for bit, both ways.  In the same way a pipeline's steps are called one by one.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import RunError, UsageError
from ..model.signature import Column, Signature, Tensor
from ..model.wiring import load_port
from .bundle import Bundle
from .csv_input import decode_csv
from .enforce import Batch, conform, wanted_columns
from .payload import bad_input, decode_json, too_many_rows

__all__ = ["Predictor"]

_to_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
# Parts of scikit-learn that pick columns by name or hand the frame to the person's own function.
_NAME_READERS = {"ColumnTransformer", "TransformedTargetRegressor", "FunctionTransformer"}
# What an estimator raises about values it cannot take; anything else is the server's failure.
_INPUT_ERRORS = (ValueError, TypeError, KeyError, IndexError)


class Predictor:
    """One model, loaded once and called from several threads.

    Attributes:
        takes: ``array`` or ``frame``, what the estimator is given.
        notes: what is worth telling about the model (loaded by another scikit-learn, not replayed).
    """

    takes: str
    notes: tuple[str, ...]

    def __init__(self, estimator: Any, bundle: Bundle, row_limit: int) -> None:
        self._estimator = estimator
        self._method = bundle.method
        self._call = getattr(estimator, bundle.method)
        self._rows = row_limit
        self._signature = bundle.signature or _signature_of(estimator)
        self._wanted: Mapping[str, bool] | None = wanted_columns(self._signature)
        on_frame = self._signature.columns and _fitted_on_frame(estimator)
        self.takes = "frame" if on_frame else "array"
        self.notes = ()

    @classmethod
    def load(cls, bundle: Bundle, row_limit: int) -> Predictor:
        """Load the model and replay its input example through all that a request goes through.

        Raises ``UntrustedError`` when the file asks for types that are not on our list,
        ``RunError`` when the example cannot be scored.
        """
        codec = load_port("codec")()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator = codec.load(bundle.model.read_bytes())
        if not callable(getattr(estimator, bundle.method, None)):
            raise UsageError(f"{type(estimator).__name__} has no method {bundle.method!r} to serve")
        predictor = cls(estimator, bundle, row_limit)
        notes = list(dict.fromkeys(str(w.message).splitlines()[0] for w in caught))
        body = bundle.example_request()
        if body is None:
            notes.append("stored without an input example: nothing was replayed before serving")
        else:
            try:
                predictor.score_json(body)
            except Exception as error:
                what = str(error) or type(error).__name__
                raise RunError(
                    f"the model cannot score its own input example: {what}",
                    hint="It was stored by scikit-learn "
                    f"{bundle.trained_with or '(version unknown)'}; see which one is installed.",
                ) from error
            predictor._quicken(body)
        predictor.notes = tuple(notes)
        return predictor

    def score_json(self, body: bytes) -> tuple[bytes, int]:
        """Score a JSON request; return the response's body and the number of rows.

        Raises what ``payload.bad_input`` makes; any other exception is the server's fault.
        """
        payload = decode_json(body, self._wanted, self._rows)
        return self._score(conform(payload, self._signature))

    def score_csv(self, body: bytes) -> tuple[bytes, int]:
        """Score a CSV request, as ``score_json``."""
        payload = decode_csv(body, self._signature, self._rows)
        return self._score(conform(payload, self._signature))

    def _score(self, batch: Batch) -> tuple[bytes, int]:
        if batch.rows > self._rows:
            raise too_many_rows(self._rows)
        return _encode(self._predict(batch)), batch.rows

    def _predict(self, batch: Batch) -> Any:
        if self.takes == "array" and batch.matrix is not None:
            given: Any = batch.matrix
        else:
            given = batch.frame()
        try:
            return self._call(given)
        except _INPUT_ERRORS as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise bad_input(f"the model cannot score this input: {lines[0][:300]}") from error

    def _quicken(self, body: bytes) -> None:
        """Take the short cuts that give the same predictions of the example."""
        batch = conform(decode_json(body, self._wanted, self._rows), self._signature)
        expected = self._predict(batch)
        for attempt in (self._array_instead, self._steps_instead):
            before = self.takes, self._call
            try:
                if attempt(batch) and not _identical(self._predict(batch), expected):
                    self.takes, self._call = before
            except Exception:
                self.takes, self._call = before

    def _array_instead(self, batch: Batch) -> bool:
        if self.takes == "array" or batch.matrix is None or not _reads_no_names(self._estimator):
            return False
        if batch.names != tuple(self._estimator.feature_names_in_):
            return False
        self.takes = "array"
        return True

    def _steps_instead(self, batch: Batch) -> bool:
        """Leave out what ``Pipeline`` does besides: half the time of a scaler's arithmetic."""
        kind = type(self._estimator)
        if (kind.__module__, kind.__name__) != ("sklearn.pipeline", "Pipeline"):
            return False
        *transformers, last = [step for _, step in self._estimator.steps]
        turn = [step.transform for step in transformers if step not in (None, "passthrough")]
        finish = getattr(last, self._method)

        def call(given: Any) -> Any:
            for transform in turn:
                given = transform(given)
            return finish(given)

        self._call = call
        return True


def _fitted_on_frame(estimator: Any) -> bool:
    """Whether the model, or the first step of the pipeline that it is, knows column names."""
    try:
        return getattr(estimator, "feature_names_in_", None) is not None
    except Exception:  # a property of a meta-estimator whose inner one is not fitted
        return False


def _signature_of(estimator: Any) -> Signature:
    """What a model stored without a signature takes, as far as the estimator knows."""
    if _fitted_on_frame(estimator):
        return Signature(columns=tuple(Column(n, "any") for n in estimator.feature_names_in_))
    width = getattr(estimator, "n_features_in_", None)
    if width is None:
        raise UsageError(
            f"this {type(estimator).__name__} was stored without a signature",
            hint="Track the model with its training data, so that a signature is recorded.",
        )
    return Signature(tensors=(Tensor(None, "float64", (-1, int(width))),))


def _reads_no_names(estimator: Any) -> bool:
    for part in _parts(estimator, 0):
        kind = type(part)
        if not kind.__module__.startswith("sklearn.") or kind.__name__ in _NAME_READERS:
            return False
        if getattr(part, "_sklearn_output_config", None):
            return False  # set_output: its steps hand frames with names to each other
    return True


def _parts(value: Any, depth: int) -> Iterable[Any]:
    """The estimators that an estimator is made of: itself, its parameters', in lists too."""
    if depth > 8:
        return
    if hasattr(value, "get_params") and hasattr(value, "fit"):
        yield value
        for parameter in value.get_params(deep=False).values():
            yield from _parts(parameter, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item, depth + 1)
    elif callable(value) and not isinstance(value, type):
        yield value  # a function of the person's own: not scikit-learn's


def _identical(one: Any, other: Any) -> bool:
    import numpy as np

    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return False
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    if one.dtype == object:  # labels
        return bool(one.tolist() == other.tolist())
    return one.tobytes() == other.tobytes()


def _encode(result: Any) -> bytes:
    return _to_json({"predictions": _jsonable(result)}).encode()


def _jsonable(value: Any) -> Any:
    """What MLflow's server would write, but ``null`` where it writes ``NaN``, which JSON lacks."""
    import numpy as np

    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            if np.isfinite(value).all():
                return value.tolist()
            items = value.astype(object)
            items[~np.isfinite(value)] = None
            return items.tolist()
        if value.dtype.kind in "iubU":
            return value.tolist()
        if value.dtype.kind == "M":
            return np.datetime_as_string(value).tolist()
        return [_jsonable(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        return _jsonable(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if hasattr(value, "to_frame"):  # a pandas Series
        value = value.to_frame()
    if hasattr(value, "to_dict"):  # a pandas DataFrame
        return _jsonable(value.to_dict(orient="records"))
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if value is None or isinstance(value, str | int | bool):
        return value
    raise RunError(f"the model returned a {type(value).__name__}, which is not JSON")
