"""What an MLflow model folder says of its model's input: example, signature, requirements."""

from __future__ import annotations

import warnings
from importlib import metadata
from typing import Any

from ..model.events import ModelRecord
from .model_predictions import predict

__all__ = ["describe", "pins"]

# What a flavor's model needs at least, by the modules that are then imported.
_NEEDED = {
    "sklearn": ("sklearn", "numpy", "scipy"),
    "xgboost": ("xgboost", "numpy"),
    "lightgbm": ("lightgbm", "numpy", "scipy"),
    "pytorch": ("torch", "numpy"),
    "keras": ("keras", "numpy"),
    "statsmodels": ("statsmodels", "numpy", "scipy", "pandas"),
    "python": ("numpy",),
}
# Read at once; all others by a search through what is installed.
_COMMON = {
    "cloudpickle": "cloudpickle",
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "skops": "skops",
    "sklearn": "scikit-learn",
}


def describe(model: Any, flavor: str, rows: Any) -> tuple[Any, Any]:
    """The example as MLflow stores it, and the signature: each ``None`` where there is none."""
    example = _as_example(rows)
    if example is None:
        return None, None
    if isinstance(example, list):
        # One-dimensional input (texts): a signature would turn it into a table, which is not what
        # the model takes.
        return example, None
    if flavor in ("keras", "pytorch"):
        example = example.to_numpy() if hasattr(example, "to_numpy") else example
    try:
        return example, _signature(example, predict(model, flavor, rows))
    except Exception as error:
        warnings.warn(
            f"the model cannot score its own example, so it has no signature: {error}",
            stacklevel=1,
        )
        return None, None


def pins(record: ModelRecord, flavor: str, example: Any, *more: str) -> list[str]:
    """Pinned requirements: those that the session noted, and what the flavor and format need.

    The versions are those that are installed where the model was fitted.
    """
    found = {pin.partition("==")[0]: pin for pin in record.requirements}
    wanted = {*_NEEDED.get(flavor, ()), *more}
    if type(example).__module__.partition(".")[0] == "pandas":
        wanted.add("pandas")
    for module in sorted(wanted):
        for name in _distributions(module):
            version = metadata.version(name).partition("+")[0]  # of "2.0+cpu" no index has a file
            found.setdefault(name, f"{name}=={version}")
    return [found[name] for name in sorted(found)]


def _distributions(module: str) -> list[str]:
    if module in _COMMON:
        return [_COMMON[module]]
    return sorted({name.lower() for name in metadata.packages_distributions().get(module, [])})


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

    outputs: Any = None
    several = isinstance(predicted, list) and any(isinstance(v, numpy.ndarray) for v in predicted)
    if isinstance(predicted, dict):
        outputs = predicted
    elif predicted is not None and not several:  # MLflow has no word for outputs without names.
        outputs = numpy.asarray(predicted)
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
