"""Model files by skops, loaded against our own allow-list.

skops (https://skops.readthedocs.io/en/stable/persistence.html) stores an estimator as a zip of JSON
and arrays; what a file may construct is decided by a list of types.  MLflow reads that list from
the model's own folder, so whoever wrote the model wrote the list.  Ours is here: classes of
scikit-learn, NumPy and SciPy that estimators are made of, the estimators of XGBoost and LightGBM
that may be among them, and functions that only compute.
"""

from __future__ import annotations

import importlib
import io
import json
import zipfile
from typing import Any

from ..errors import CorruptError, MlopsError, UntrustedError
from ..model.events import ModelRecord
from .unpickling import unpickle

__all__ = ["SkopsCodec", "codec", "is_allowed"]

_BUILTINS = frozenset(
    {
        "builtins.complex", "builtins.frozenset", "builtins.range", "collections.Counter",
        "collections.OrderedDict", "collections.defaultdict", "datetime.date", "datetime.datetime",
        "datetime.time", "datetime.timedelta", "datetime.timezone", "decimal.Decimal",
        "fractions.Fraction", "functools.partial",
    }
)  # fmt: skip

# Classes: all of scikit-learn, and the parts of NumPy and SciPy that estimators hold.
_CLASS_MODULES = (
    "sklearn.",
    "numpy.random.",
    "scipy.interpolate.",
    "scipy.sparse.",
    "scipy.spatial.",
    "scipy.stats.",
)
# XGBoost's and LightGBM's, exactly: inside a pipeline they are the library's own file of numbers (a
# buffer, a text) that it reads, and attributes that are types on this list again.
_BOOSTERS = frozenset(
    {
        "xgboost.core.Booster", "xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBRanker",
        "xgboost.sklearn.XGBRFClassifier", "xgboost.sklearn.XGBRFRegressor",
        "xgboost.sklearn.XGBRegressor",
        "lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRanker", "lightgbm.sklearn.LGBMRegressor",
    }
)  # fmt: skip
_NUMPY_CLASSES = frozenset({"numpy.dtype", "numpy.ndarray", "numpy.matrix"})

# Functions run with arguments out of the file (a FunctionTransformer's ``kw_args``, a partial), so
# only those that compute: no reading, no writing, no evaluating of strings.
_FUNCTION_MODULES = (
    "sklearn.feature_selection.",
    "sklearn.metrics.",
    "sklearn.preprocessing.",
    "sklearn.utils.extmath.",
    "scipy.special.",
)
_FUNCTIONS = frozenset(
    {
        "scipy._lib.array_api_compat.numpy._aliases.asarray",  # inside BSpline
        *(
            f"numpy.{name}"
            for name in (
                "abs", "amax", "amin", "asarray", "average", "clip", "cumsum", "diff", "log1p",
                "max", "mean", "median", "min", "nan_to_num", "nanmax", "nanmean", "nanmedian",
                "nanmin", "nansum", "ravel", "round", "squeeze", "std", "sum", "var",
            )
        ),
    }
)  # fmt: skip

# Never, whatever they are: they compile, run, download or test.
_FORBIDDEN = frozenset(
    {
        "__main__", "conftest", "ctypeslib", "datasets", "distutils", "externals", "f2py",
        "joblib", "_testing", "testing", "tests",
    }
)  # fmt: skip

_ROOM = 64 * 1024 * 1024  # bytes that a small file may unpack to
_RATIO = 100  # and how many times its own size a larger one


def codec() -> SkopsCodec:
    """The codec behind the port ``codec``."""
    return SkopsCodec()


class SkopsCodec:
    """Implements ``model.ports.ModelCodec``."""

    def dump(self, model: Any) -> bytes:
        """Return a skops file of ``model``.

        Raises ``UntrustedError`` when it holds types that are not on the allow-list, or that skops
        cannot store without running code on loading.
        """
        import skops.io

        try:
            data: bytes = skops.io.dumps(model)
        except Exception as error:  # skops raises many kinds, and calls the model's own code
            raise UntrustedError(
                f"{type(model).__name__} cannot be stored as a skops file: {_first_line(error)}",
                hint="Models of scikit-learn's own classes and functions can be stored.",
            ) from error
        self.trusted_types(data)
        return data

    def trusted_types(self, data: bytes) -> tuple[str, ...]:
        """Return the types that our list must allow for this file to load.

        Raises ``UntrustedError`` that names those it does not allow, ``CorruptError`` when the
        bytes are no skops file.
        """
        import skops.io

        _check_zip(data)
        try:
            types = skops.io.get_untrusted_types(data=data)
        except Exception as error:  # crafted files raise anything at all
            raise CorruptError(f"not a readable skops file: {_first_line(error)}") from error
        refused = sorted(name for name in types if not is_allowed(name))
        if refused:
            raise UntrustedError(
                f"the model holds {', '.join(refused)}, which could run any code when it is loaded",
                hint="Use scikit-learn's own classes and functions in the model; a function of your"
                " own can be applied to the data before it.",
                types=refused,
            )
        return tuple(sorted(types))

    def load(self, data: bytes) -> Any:
        """Load a skops file.  Raises ``UntrustedError`` or ``CorruptError``; runs nothing of it."""
        import skops.io

        types = self.trusted_types(data)
        try:
            return skops.io.loads(data, trusted=list(types))
        except Exception as error:
            raise CorruptError(f"the skops file cannot be loaded: {_first_line(error)}") from error

    def load_record(
        self, record: ModelRecord, data: bytes, example: bytes | None = None
    ) -> tuple[Any, Any]:
        """Return ``(model, example)`` of a spooled model.

        The caller has verified the signature of a pickle.  Raises ``CorruptError`` when the bytes
        cannot be read, ``UntrustedError`` for a skops file off the list, ``MlopsError`` when the
        pickle does not load in this interpreter.
        """
        if record.format == "skops":
            return self.load(data), _read_example(record, example)
        if record.format not in ("pickle5", "cloudpickle"):
            raise CorruptError(f"model {record.name!r} has the unknown format {record.format!r}")
        try:
            content = unpickle(data)
        except Exception as error:
            raise MlopsError(
                f"it does not load outside its notebook: {type(error).__name__}: "
                f"{_first_line(error)}"
            ) from error
        if not isinstance(content, dict) or "model" not in content:
            raise CorruptError(f"model {record.name!r} was spooled without a model")
        return content["model"], content.get("example")


def is_allowed(name: str) -> bool:
    """Whether our list allows the type or function that skops calls ``name``."""
    if name in _BUILTINS or name in _NUMPY_CLASSES or name in _FUNCTIONS:
        return True
    if name in _BOOSTERS:
        return isinstance(_resolve(name.split(".")), type)
    if not name.startswith(("sklearn.", "numpy.", "scipy.")):
        return False
    parts = name.split(".")
    if _FORBIDDEN.intersection(parts) or any(part.startswith("__") for part in parts):
        return False
    found = _resolve(parts)
    # Where it was made counts, too: scikit-learn's modules also hold what they import of others.
    home = f"{getattr(found, '__module__', None)}."
    if isinstance(found, type):
        return name.startswith(_CLASS_MODULES) and home.startswith(_CLASS_MODULES)
    if _is_ufunc(found):
        return True
    return (
        callable(found)
        and name.startswith(_FUNCTION_MODULES)
        and home.startswith(_FUNCTION_MODULES)
    )


def _resolve(parts: list[str]) -> Any:
    """The object in a first-party module.  A method (``module.Class.name``) is none of ours."""
    try:
        return getattr(importlib.import_module(".".join(parts[:-1])), parts[-1], None)
    except ImportError:
        return None


def _is_ufunc(found: Any) -> bool:
    import numpy

    return isinstance(found, numpy.ufunc)


def _check_zip(data: bytes) -> None:
    """Refuse what is no zip and what would unpack to more than any model."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
            schema = json.loads(archive.read("schema.json")) if unpacked <= _limit(data) else {}
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError) as error:
        raise CorruptError(f"not a skops file: {_first_line(error)}") from error
    if unpacked > _limit(data):
        raise CorruptError(f"a skops file of {len(data):,} bytes that unpacks to {unpacked:,}")
    if not isinstance(schema, dict):
        raise CorruptError("not a skops file: its schema is not an object")


def _limit(data: bytes) -> int:
    return _ROOM + _RATIO * len(data)


def _read_example(record: ModelRecord, example: bytes | None) -> Any:
    if example is None:
        return None
    try:
        if record.example_format == "parquet":
            import pyarrow.parquet

            return pyarrow.parquet.read_table(io.BytesIO(example)).to_pandas()
        if record.example_format == "npy":
            import numpy

            return numpy.load(io.BytesIO(example), allow_pickle=False)
    except Exception as error:
        raise CorruptError(
            f"the example of model {record.name!r} cannot be read: {_first_line(error)}"
        ) from error
    raise CorruptError(
        f"the example of model {record.name!r} has the unknown format {record.example_format!r}"
    )


def _first_line(error: BaseException) -> str:
    """The first line of an error, short enough to show."""
    text = str(error).strip().partition("\n")[0]
    return (text or type(error).__name__)[:300]
