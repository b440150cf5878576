"""Making an MLflow model folder from a spooled model, without touching any store.

It runs under the interpreter that fitted the model.  The folder holds a skops file that our own
allow-list accepts, the signature and requirements; the stored file is loaded again and must predict
what the model predicts, before anybody calls it stored.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import MlopsError
from ..model.events import ModelRecord
from ..model.ports import BuiltModel
from .mlflow_environment import using
from .skops_codec import SkopsCodec

__all__ = ["build_model"]

_ROWS = 8  # rows made up for the comparison where there is no example


def build_model(
    record: ModelRecord, data: bytes, example: bytes | None, target: Path
) -> BuiltModel:
    """Write the MLflow model folder ``target`` for a spooled model.

    ``data`` and ``example`` are the contents of the record's blobs; the caller has verified the
    signature of a pickle.  Raises ``UntrustedError`` when the model would need foreign code to
    load, ``CorruptError`` for unreadable bytes, ``MlopsError`` when its stored copy predicts
    something else or MLflow cannot write it; ``target`` is then gone.
    """
    try:
        with _kept_warnings() as said:
            codec = SkopsCodec()
            model, rows = codec.load_record(record, data, example)
            types = codec.trusted_types(codec.dump(model))
            with using(None, 10.0):
                _save(model, rows, types, target)
            stored = codec.load((target / "model.skops").read_bytes())
            verified = _verify(model, stored, rows)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, (MlopsError, OSError)) or not isinstance(error, Exception):
            raise
        raise MlopsError(f"it cannot be stored: {type(error).__name__}: {error}"[:400]) from error
    return BuiltModel(target, type(model).__name__, verified, tuple(said))


def _save(model: Any, rows: Any, types: tuple[str, ...], target: Path) -> None:
    import mlflow.sklearn

    example, signature = _describe(model, rows)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mlflow.sklearn.save_model(
        model,
        target,
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        # False keeps MLflow from guessing one by a pass through its own serving code.
        signature=signature or False,
        input_example=example,
        pip_requirements=_requirements(example),
        skops_trusted_types=list(types),
    )


def _describe(model: Any, rows: Any) -> tuple[Any, Any]:
    """The example as MLflow stores it, and the signature: each ``None`` where there is none."""
    example = _as_example(rows)
    if example is None:
        return None, None
    if isinstance(example, list):
        # One-dimensional input (texts): a signature would turn it into a table, which is not what
        # the model takes.
        return example, None
    try:
        return example, _signature(example, _predict(model, rows))
    except Exception as error:
        warnings.warn(
            f"the model cannot score its own example, so it has no signature: {error}",
            stacklevel=1,
        )
        return None, None


def _as_example(rows: Any) -> Any:
    import numpy
    import pandas
    import scipy.sparse

    if rows is None or isinstance(rows, pandas.DataFrame):
        return rows
    if scipy.sparse.issparse(rows):
        return scipy.sparse.csr_matrix(rows)
    if hasattr(rows, "to_pandas"):  # polars, pyarrow
        rows = rows.to_pandas()
        return rows if isinstance(rows, pandas.DataFrame) else rows.tolist()
    array = numpy.asarray(rows)
    return array if array.ndim > 1 else array.tolist()


def _signature(example: Any, predicted: Any) -> Any:
    import numpy
    import pandas
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types.schema import ColSpec, DataType, Schema

    outputs = predicted if predicted is None else numpy.asarray(predicted)
    if not isinstance(example, pandas.DataFrame):
        return infer_signature(example, outputs)
    # Whole numbers are declared as such here.  Left to MLflow they come with a warning that they
    # cannot be missing, which is so: the model was fitted on a column without missing values.
    whole = {
        name: DataType.integer if dtype.itemsize < 4 or dtype == "int32" else DataType.long
        for name, dtype in example.dtypes.items()
        if isinstance(dtype, numpy.dtype) and dtype.kind in "iu" and dtype.itemsize <= 8
    }
    rest = example.drop(columns=list(whole))
    inferred = infer_signature(rest if len(rest.columns) else None, outputs)
    others = {} if inferred.inputs is None else {spec.name: spec for spec in inferred.inputs}
    inputs = Schema(
        [
            ColSpec(whole[name], name=name) if name in whole else others[name]
            for name in example.columns
        ]
    )
    return ModelSignature(inputs=inputs, outputs=inferred.outputs)


def _requirements(example: Any) -> list[str]:
    """Pinned requirements, from what is installed where the model was fitted."""
    names = ["scikit-learn", "skops", "numpy", "scipy"]
    if type(example).__module__.partition(".")[0] == "pandas":
        names.append("pandas")
    return [f"{name}=={metadata.version(name)}" for name in names]


def _verify(model: Any, stored: Any, rows: Any) -> str:
    """Compare the stored copy with the model; say how, or raise ``MlopsError``."""
    probe = _probe(model) if rows is None else rows
    if probe is None:
        return "loads; there is no example to compare predictions on"
    try:
        wanted, again = _predict(model, probe), _predict(model, probe)
    except Exception as error:
        return f"loads; the example cannot be scored ({type(error).__name__})"
    if wanted is None:
        return "loads; it does not predict"
    if not _equal(wanted, again):
        return "loads; its predictions are random"
    if not _equal(wanted, _predict(stored, probe)):
        raise MlopsError("its stored copy predicts something else on the example")
    kind = "made-up rows" if rows is None else "rows"
    return f"predictions of {_length(probe)} {kind} are equal"


def _probe(model: Any) -> Any:
    """Rows for a model that came without an example, from what it says about its input."""
    import numpy

    count = getattr(model, "n_features_in_", None)
    if not isinstance(count, int) or count < 1:
        return None
    values = numpy.linspace(-2.0, 3.0, _ROWS * count).reshape(_ROWS, count)
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        return values
    import pandas

    return pandas.DataFrame(values, columns=list(names))


def _predict(model: Any, rows: Any) -> Any:
    for method in ("predict", "transform"):
        if hasattr(model, method):
            return getattr(model, method)(rows)
    return None


def _equal(one: Any, other: Any) -> bool:
    import numpy
    import scipy.sparse

    if scipy.sparse.issparse(one):
        return bool(scipy.sparse.issparse(other)) and bool((one != other).nnz == 0)
    one, other = numpy.asarray(one), numpy.asarray(other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype.kind in "fc":
        return bool(numpy.array_equal(one, other, equal_nan=True))
    return bool(numpy.array_equal(one, other))


def _length(rows: Any) -> int:
    shape = getattr(rows, "shape", None)
    return int(shape[0]) if shape else len(rows)


@contextlib.contextmanager
def _kept_warnings() -> Iterator[list[str]]:
    """Collect what is warned for the run's report; deprecations are for the libraries' authors."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught, _quiet_output():
        warnings.simplefilter("always")
        try:
            yield said
        finally:
            for item in caught:
                text = str(item.message).strip()
                if not issubclass(
                    item.category, (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
                ):
                    said.append(text.partition("\n")[0][:300])
            said[:] = dict.fromkeys(said)


@contextlib.contextmanager
def _quiet_output() -> Iterator[None]:
    """Send what unpickled code prints to stderr: stdout belongs to the command."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
