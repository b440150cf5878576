"""Converting a column's JSON values into its type, where nothing is lost; else saying which one.

MLflow's type names; a number has one kind in JSON, so ``3.0`` is an integer as well as ``3``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..model.signature import Column
from .payload import bad_input, show

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CONVERT", "NUMERIC", "booleans", "numbers", "refused", "strings"]

NUMERIC = {"integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
_NULL = type(None)


def numbers(
    flat: list[Any], columns: tuple[Column, ...], dtypes: tuple[str, ...]
) -> np.ndarray[Any, Any]:
    """One array of rows laid end to end, in the type that all ``dtypes`` (NumPy names) fit into.

    ``true`` is 1, ``null`` is NaN in a column of floats.  Raises the 400 that names the value.
    """
    import numpy as np

    if not set(map(type, flat)) <= {int, float, bool, _NULL}:
        index = next(i for i, v in enumerate(flat) if type(v) not in (int, float, bool, _NULL))
        raise refused(flat[index], index, columns, "a number")
    width = len(columns)
    for position, dtype in enumerate(dtypes):
        if "int" in dtype:
            flat[position::width] = _integers(flat[position::width], position, columns)
    try:
        for position, dtype in enumerate(dtypes):
            if not dtype.endswith("64"):
                _check_range(flat[position::width], position, columns, dtype)
        return np.array(flat, dtype=np.result_type(*set(dtypes)))
    except OverflowError:  # beyond 64 bits; find the one
        for index, value in enumerate(flat):
            try:
                np.array(value, dtype=dtypes[index % width])
            except OverflowError:
                raise refused(value, index, columns, "within range") from None
        raise


def _integers(values: list[Any], position: int, columns: tuple[Column, ...]) -> list[Any]:
    if set(map(type, values)) <= {int, bool}:
        return values
    for row, value in enumerate(values):
        if type(value) is float and value.is_integer():
            values[row] = int(value)  # JSON has one kind of number: 3.0 is 3
        elif type(value) not in (int, bool):
            raise refused(value, row * len(columns) + position, columns, "an integer")
    return values


def _check_range(values: list[Any], position: int, columns: tuple[Column, ...], dtype: str) -> None:
    """Refuse what would become infinite, or another number, in fewer than 64 bits."""
    import numpy as np

    limits = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype)
    array = np.array(values, dtype=np.float64)
    beyond = np.isfinite(array) & ((array > float(limits.max)) | (array < float(limits.min)))
    if beyond.any():
        row = int(beyond.argmax())
        raise refused(values[row], row * len(columns) + position, columns, "within range")


def _one_numeric(values: list[Any], column: Column) -> Any:
    return numbers(values, (column,), (NUMERIC[column.type],))


def booleans(values: list[Any], column: Column) -> Any:
    """An array of bool; 0 and 1 count, and null where the column is not required (then objects)."""
    import numpy as np

    # NumPy's bool holds no null: a column that may have some stays one of objects.
    allowed = {bool, _NULL} if not column.required else {bool}
    if not set(map(type, values)) <= allowed:
        for index, value in enumerate(values):
            if type(value) in (int, float) and value in (0, 1):
                values[index] = bool(value)
            elif type(value) not in allowed:
                raise refused(value, index, (column,), "true or false")
    return np.array(values, dtype=object if None in values else bool)


def strings(values: list[Any], column: Column) -> list[Any]:
    """The values themselves, once it is sure that they are text or null."""
    if not set(map(type, values)) <= {str, _NULL}:
        index = next(i for i, v in enumerate(values) if type(v) not in (str, _NULL))
        raise refused(values[index], index, (column,), "text")
    return values  # pandas makes of a list of text what it makes of it in training


def _binary(values: list[Any], column: Column) -> Any:
    for index, value in enumerate(strings(values, column)):
        if value is not None:
            try:
                values[index] = base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                raise refused(value, index, (column,), "base64") from None
    return values


def _datetimes(values: list[Any], column: Column) -> Any:
    import pandas as pd

    strings(values, column)
    try:
        moments = pd.to_datetime(values, format="ISO8601")
    except (ValueError, OverflowError):
        for index, value in enumerate(values):
            try:
                pd.to_datetime(value, format="ISO8601")
            except (ValueError, OverflowError):
                raise refused(value, index, (column,), "a date and time of ISO 8601") from None
        raise bad_input(f"column {show(column.name)} mixes time zones") from None
    if getattr(moments, "tz", None) is not None:
        raise bad_input(
            f"column {show(column.name)} has a time zone; the model takes times without one"
        )
    return pd.DatetimeIndex(moments).as_unit("ns")


CONVERT: dict[str, Callable[[list[Any], Column], Any]] = {
    **dict.fromkeys(NUMERIC, _one_numeric),
    "boolean": booleans,
    "string": strings,
    "binary": _binary,
    "datetime": _datetimes,
    "any": lambda values, column: values,
}


def refused(value: Any, index: int, columns: tuple[Column, ...], wanted: str) -> UsageError:
    """The 400 for the value at ``index`` of rows laid end to end."""
    row, position = divmod(index, len(columns))
    column = columns[position]
    where = f"row {row}" if column.name is None else f"column {show(column.name)}, row {row}"
    return bad_input(f"{where}: {show(value)} is not {wanted} ({column.type})")
