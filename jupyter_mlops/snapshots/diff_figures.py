"""A few figures of a column in memory, for the diff of values that were never stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["figures_of"]


def figures_of(values: Any) -> dict[str, Any]:
    """``missing``, and of numbers and times ``min``, ``max`` and ``mean``; what has no order has
    none."""
    try:
        array = _arrow(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, UnicodeError):
        return {}
    found: dict[str, Any] = {"missing": int(array.null_count)}
    kind = array.type
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if not numbers and not pa.types.is_temporal(kind):
        return found
    try:
        bounds = pc.min_max(array).as_py()
    except (pa.ArrowException, ValueError, OverflowError):
        return found  # A type or a moment that Arrow cannot order or Python cannot hold.
    if bounds["min"] is None:
        return found
    found |= bounds
    if numbers:
        found["mean"] = float(pc.mean(array).as_py())
    return found


def _arrow(values: Any) -> Any:
    """As an Arrow array, NaN as missing."""
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if isinstance(values, np.ndarray) and values.dtype.kind == "O":
        # What objects are is not looked at one by one.
        missing = sum(value is None or value != value for value in values.tolist())
        return pa.array([None] * missing + [True] * (len(values) - missing))
    return pa.array(values, from_pandas=True)
