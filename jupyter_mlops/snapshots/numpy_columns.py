"""NumPy's arrays and SciPy's sparse matrices as columns, and back."""

from __future__ import annotations

import sys
from typing import Any

from ..errors import CorruptError, Refused
from .cells import cells_column, cells_of
from .streams import Column, Fixed

__all__ = [
    "array_column",
    "array_of",
    "numpy_of",
    "sparse_columns",
    "sparse_of",
    "values_column",
]

Parts = dict[str, Column]


def values_column(values: Any, column: str = "") -> Column:
    """Return the column of an array of one dimension: its bytes as they are, or its objects."""
    dtype = values.dtype
    if dtype.kind == "O":
        return cells_column(values.tolist(), {"kind": "objects", "dtype": "object"}, column)
    meta = {"kind": "numpy", "dtype": str(dtype), "descr": _descr(dtype, column)}
    return Column(meta, len(values), {"values": Fixed(_as_bytes(values))})


def numpy_of(column: Column) -> Any:
    """The array of a column."""
    import numpy

    if column.meta["kind"] == "objects":
        found = numpy.empty(column.length, object)
        # One by one: NumPy would make an array of more dimensions of lists.
        for row, value in enumerate(cells_of(column)):
            found[row] = value
        return found
    if column.meta["kind"] != "numpy":
        raise CorruptError(f"{column.meta['kind']!r} is not an array")
    dtype = _dtype(column.meta["descr"])
    if not dtype.itemsize:
        return numpy.empty(column.length, dtype)
    stream = column.streams["values"]
    if not isinstance(stream, Fixed) or stream.values.dtype.itemsize != dtype.itemsize:
        raise CorruptError(f"the values are not of {dtype}")
    return stream.values.view(dtype)


def array_column(array: Any) -> tuple[dict[str, Any], Column]:
    """Return ``({"shape", "order"}, column)`` of an array of any shape.

    An array that is contiguous by columns is stored so (order ``F``), any other by rows.
    """
    flags = array.flags
    turned = bool(flags.f_contiguous and not flags.c_contiguous)
    flat = (array.T if turned else array).reshape(-1)
    return {"shape": list(array.shape), "order": "F" if turned else "C"}, values_column(flat)


def array_of(node: dict[str, Any], column: Column) -> Any:
    """The array of ``array_column``."""
    flat = numpy_of(column)
    shape = tuple(int(n) for n in node["shape"])
    if node["order"] == "F":
        return flat.reshape(shape[::-1]).T
    return flat.reshape(shape)


def sparse_columns(matrix: Any) -> tuple[dict[str, Any], Parts]:
    """Return ``({"layout", "of", "shape", ...}, columns)`` of a sparse matrix of any format."""
    form = matrix.format
    kind = "array" if type(matrix).__name__.endswith("_array") else "matrix"
    node: dict[str, Any] = {"layout": form, "of": kind, "shape": [int(n) for n in matrix.shape]}
    parts: dict[str, Any]
    if form in ("csr", "csc", "bsr"):
        parts = {"indptr": matrix.indptr, "indices": matrix.indices}
        node["block"] = list(matrix.data.shape[1:])
        parts["data"] = matrix.data.reshape(-1)
    elif form == "dia":
        parts = {"offsets": matrix.offsets, "data": matrix.data.reshape(-1)}
        node["width"] = int(matrix.data.shape[1])
    elif form in ("coo", "lil", "dok"):
        entries = matrix if form == "coo" else matrix.tocoo()
        parts = {f"at{axis}": where for axis, where in enumerate(entries.coords)}
        parts["data"] = entries.data
    else:
        raise Refused(f"a sparse matrix of the format {form!r} is not known")
    if matrix.dtype.kind not in "biufc":
        raise Refused(f"a sparse matrix of {matrix.dtype} is not known")
    return node, {name: values_column(values) for name, values in parts.items()}


def sparse_of(node: dict[str, Any], columns: Parts) -> Any:
    """The matrix of ``sparse_columns``."""
    import scipy.sparse

    parts = {name: numpy_of(column) for name, column in columns.items()}
    form, shape = str(node["layout"]), tuple(int(n) for n in node["shape"])
    if form not in ("csr", "csc", "bsr", "dia", "coo", "lil", "dok"):
        raise CorruptError(f"no sparse matrices are of the format {form!r}")
    suffix = "array" if node["of"] == "array" else "matrix"

    def maker(name: str) -> Any:
        return getattr(scipy.sparse, f"{name}_{suffix}")

    data = parts["data"]
    if form in ("csr", "csc", "bsr"):
        data = data.reshape((-1, *node["block"])) if node["block"] else data
        found = maker(form)((data, parts["indices"], parts["indptr"]), shape=shape)
        found.check_format(full_check=True)
        return found
    if form == "dia":
        return maker("dia")((data.reshape(-1, node["width"]), parts["offsets"]), shape=shape)
    at = tuple(parts[f"at{axis}"] for axis in range(len(shape)))
    found = maker("coo")((data, at), shape=shape)
    return found if form == "coo" else found.asformat(form)


def _as_bytes(values: Any) -> Any:
    """The array with a dtype that is nothing but its width, where NumPy cannot spell its own."""
    numpy: Any = sys.modules["numpy"]
    plain = values.dtype.kind in "biufcmM" and values.dtype.char not in "gG"
    if (plain and values.dtype.isnative) or not values.dtype.itemsize:
        return values
    return numpy.ascontiguousarray(values).view(f"V{values.dtype.itemsize}")


def _descr(dtype: Any, column: str) -> Any:
    """The dtype as JSON.  Raises ``Refused`` if it would not come back."""
    numpy: Any = sys.modules["numpy"]
    where = f"column {column!r}: " if column else ""
    if dtype.hasobject or dtype.kind not in "biufcmMSUV":
        raise Refused(
            f"{where}the dtype {dtype} cannot be stored",
            hint="Convert it to numbers, strings or dates.",
            column=column,
        )
    found = _lists(numpy.lib.format.dtype_to_descr(dtype))
    if dtype.metadata or dtype.isalignedstruct or _dtype(found) != dtype:
        raise Refused(f"{where}the dtype {dtype!r} would not come back exactly", column=column)
    return found


def _dtype(descr: Any) -> Any:
    import numpy

    found = numpy.lib.format.descr_to_dtype(_tuples(descr))
    if found.hasobject:
        raise CorruptError(f"an array cannot be of {found}")
    return found


def _lists(descr: Any) -> Any:
    if isinstance(descr, (list, tuple)):
        kind = "list" if isinstance(descr, list) else "tuple"
        return {kind: [_lists(item) for item in descr]}
    return descr


def _tuples(descr: Any) -> Any:
    if isinstance(descr, dict):
        (kind, items), *_ = descr.items()
        made = [_tuples(item) for item in items]
        return made if kind == "list" else tuple(made)
    return descr
