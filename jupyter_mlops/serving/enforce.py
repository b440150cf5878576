"""Making a request's values what the model's signature says, or saying which one is not.

The rules are those that MLflow documents for its signatures: columns by name in the signature's
order, extra ones ignored, safe conversions only.  MLflow's own server casts with pandas first, and
so turns ``1.7`` into ``1`` in an integer column, ``"false"`` and ``null`` into a boolean, ``"1.5"``
into a number; here a value is converted only where nothing is lost, and refused otherwise (the
deliberate differences are listed in docs/serving.md and tested beside MLflow's server).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..model.signature import Column, Signature, Tensor
from .payload import Nested, Payload, Rows, bad_input, show
from .values import CONVERT, NUMERIC, booleans, numbers, strings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["Batch", "conform", "unsupported", "wanted_columns"]

_SCALARS = {*NUMERIC, "boolean", "string", "binary", "datetime", "any"}
_TENSORS = frozenset("fiub")


@dataclass(frozen=True, slots=True)
class Batch:
    """Checked values: a ``matrix`` where all are numbers, else one sequence a column.

    ``dtypes`` are NumPy's names of the columns' types; a matrix holds a type that fits them all.
    """

    rows: int
    names: tuple[str, ...]
    dtypes: tuple[str, ...]
    matrix: np.ndarray[Any, Any] | None
    columns: tuple[Any, ...] = ()

    def frame(self) -> pd.DataFrame:
        """The values as a DataFrame with the signature's types."""
        import pandas as pd

        labels: list[Any] = list(self.names or range(len(self.dtypes)))
        if self.matrix is None:
            return pd.DataFrame(dict(zip(labels, self.columns, strict=True)))
        frame: pd.DataFrame = pd.DataFrame(self.matrix, columns=labels)
        if set(self.dtypes) != {str(self.matrix.dtype)}:
            frame = frame.astype(dict(zip(labels, self.dtypes, strict=True)))
        return frame


def unsupported(signature: Signature) -> str | None:
    """Say what of a signature cannot be served, ``None`` if all can."""
    if not signature.columns and not signature.tensors:
        return "it does not say what the model takes"
    for column in signature.columns:
        if column.type not in _SCALARS:
            return f"column {column.name!r} is of the nested type {column.type!r}"
    if signature.columns and len(signature.names) not in (0, len(signature.columns)):
        return "some of its columns have names and some do not"
    if not signature.tensors:
        return None
    if len(signature.tensors) > 1 or signature.tensors[0].name is not None:
        return "it takes named tensors"
    tensor = signature.tensors[0]
    if _kind(tensor) not in _TENSORS and not _is_text(tensor):
        return f"it takes a tensor of {tensor.dtype!r}"
    return None


def wanted_columns(signature: Signature) -> Mapping[str, bool] | None:
    """The signature's named columns and whether each is required; ``None`` if it has none."""
    named = {c.name: c.required for c in signature.columns if c.name is not None}
    return named or None


def conform(payload: Payload, signature: Signature) -> Batch:
    """Return the payload's values as the signature wants them, or raise a 400 that names one."""
    if signature.tensors:
        tensor = signature.tensors[0]
        data = payload.data if isinstance(payload, Nested) else list(payload.rows)
        if isinstance(payload, Rows) and len(tensor.shape) == 1:
            data = [row[0] if len(row) == 1 else row for row in data]
        return _tensor(data, tensor)
    columns = signature.columns
    rows = _table(payload, columns)
    if not rows:
        raise bad_input("there are no rows to score")
    if all(column.type in NUMERIC for column in columns):
        dtypes = tuple(NUMERIC[column.type] for column in columns)
        flat = list(chain.from_iterable(rows))
        matrix = numbers(flat, columns, dtypes).reshape(len(rows), len(columns))
        return Batch(len(rows), _names(columns), dtypes, matrix)
    turned = zip(*rows, strict=True)
    values = [CONVERT[c.type](list(v), c) for c, v in zip(columns, turned, strict=True)]
    dtypes = tuple(NUMERIC.get(column.type, "object") for column in columns)
    return Batch(len(rows), _names(columns), dtypes, None, tuple(values))


# --- picking the columns --------------------------------------------------------------------------


def _table(payload: Payload, columns: tuple[Column, ...]) -> Sequence[Sequence[Any]]:
    """The payload's rows with one value for each column of the signature, in its order."""
    if isinstance(payload, Nested):
        payload = _single_column(payload, columns)
    names, rows = payload.names, payload.rows
    if columns[0].name is None:
        width = len(rows[0]) if rows else len(columns)
        if width < len(columns):
            raise bad_input(f"the rows have {width} values; the model takes {len(columns)}")
        return rows if width == len(columns) else [row[: len(columns)] for row in rows]
    if names == [column.name for column in columns]:
        return rows
    positions: dict[Any, int] = {}
    for position, name in enumerate(names or ()):
        if isinstance(name, str):
            if name in positions and any(column.name == name for column in columns):
                raise bad_input(f"column {show(name)} is there twice")
            positions[name] = position
    missing = [c.name for c in columns if c.required and c.name not in positions]
    if missing:
        raise bad_input(_missing(missing, names, columns))
    # A column that may be left out is filled with nulls, and its type decides what they become.
    order = [positions.get(column.name, -1) for column in columns]
    if -1 in order:
        return [[None if i < 0 else row[i] for i in order] for row in rows]
    return [[row[i] for i in order] for row in rows]


def _single_column(payload: Nested, columns: tuple[Column, ...]) -> Rows:
    """``[1, 2]``, ``[[1], [2]]`` or ``1`` for a model of one column, else what to send instead."""
    data = payload.data if isinstance(payload.data, list) else [payload.data]
    if columns[0].name is None and data and isinstance(data[0], list):
        width = len(data[0])
        for number, row in enumerate(data):
            if not isinstance(row, list) or len(row) != width:
                raise bad_input(f"row {number} is not an array of {width} values")
        return Rows(None, data)
    if len(columns) == 1:
        return Rows([columns[0].name], [[value] for value in data])
    raise bad_input(
        "the model takes named columns: send dataframe_split, dataframe_records, or inputs as an "
        f"object of columns ({', '.join(show(c.name) for c in columns[:5])}"
        f"{', ...' if len(columns) > 5 else ''})"
    )


def _missing(missing: list[Any], names: list[Any] | None, columns: tuple[Column, ...]) -> str:
    word = "column" if len(missing) == 1 else "columns"
    text = f"required {word} missing: {', '.join(show(name) for name in missing[:20])}"
    if len(missing) > 20:
        text += f" and {len(missing) - 20} more"
    known = {column.name for column in columns}
    extra = [name for name in names or () if not isinstance(name, str) or name not in known]
    if extra:
        text += f"; not in the signature: {', '.join(show(name) for name in extra[:20])}"
    return text


def _names(columns: tuple[Column, ...]) -> tuple[str, ...]:
    return tuple(column.name for column in columns if column.name is not None)


def _tensor(data: Any, tensor: Tensor) -> Batch:
    import numpy as np

    level, lengths = ([data], []) if not isinstance(data, list) else (data, [len(data)])
    for _ in range(len(tensor.shape) - 1):
        sizes = {len(item) if isinstance(item, list | tuple) else -1 for item in level}
        if len(sizes) > 1 or -1 in sizes:
            raise bad_input(f"the input is not an array of shape {_shape(tensor)}")
        lengths.append(sizes.pop() if sizes else 0)
        level = list(chain.from_iterable(level))
    if not level:
        raise bad_input("there are no rows to score")
    if len(lengths) != len(tensor.shape) or any(
        wanted not in (-1, given) for wanted, given in zip(tensor.shape, lengths, strict=True)
    ):
        raise bad_input(f"the input has shape {tuple(lengths)}; the model takes {_shape(tensor)}")
    cell = Column(None, tensor.dtype)
    width = len(level) // lengths[0]
    if _is_text(tensor):
        array = np.array(strings(level, cell), dtype=object)
    elif _kind(tensor) == "b":
        array = booleans(level, cell)
    else:
        array = numbers(level, (cell,) * width, (tensor.dtype,) * width)
    return Batch(lengths[0], (), (str(array.dtype),) * width, array.reshape(lengths))


def _kind(tensor: Tensor) -> str:
    import numpy as np

    try:
        return np.dtype(tensor.dtype).kind
    except TypeError:
        return "?"


def _is_text(tensor: Tensor) -> bool:
    return _kind(tensor) in "UO" or tensor.dtype == "str"


def _shape(tensor: Tensor) -> str:
    return "(" + ", ".join("any" if n < 0 else str(n) for n in tensor.shape) + ")"
