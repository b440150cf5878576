"""How values of NumPy, pandas, polars and Arrow are read for a fingerprint, if they are loaded.

Estimators of scikit-learn and matrices of SciPy are plain objects and need nothing here.
"""

from __future__ import annotations

import types
from typing import Any

from .fingerprints import Handler, Walk, class_vars, inherits, loaded

__all__ = ["library_handler"]

_COPIED = 5e8  # Bytes a second, where memory is not in one piece.
_ROWS = 4096
_HASHED = 2e8  # Bytes a second that polars hashes by rows.
# What an array of pandas holds, in whichever of its kinds.
_ARRAY_PARTS = (
    "_ndarray", "_pa_array", "_data", "_mask", "_sparse_values", "_sparse_index", "_left", "_right",
)  # fmt: skip


def library_handler(kind: type, package: str) -> Handler | None:
    """What reads values of a library's type; ``None`` if they are like any object."""
    numpy = loaded("numpy")
    if numpy is not None and hasattr(numpy, "ndarray"):
        if kind is numpy.ndarray:
            return array
        if inherits(kind, numpy.ndarray):
            return _array_subclass
        if inherits(kind, numpy.generic):
            return _scalar
        if inherits(kind, numpy.dtype) or kind is numpy.ufunc:
            return _by_name
        if package == "numpy" and kind.__name__ in _GENERATORS:
            return _GENERATORS[kind.__name__]
    if package == "pandas":
        return _pandas_handler(kind)
    if package == "pyarrow":
        return _arrow_handler(kind)
    if package == "polars":
        return _POLARS.get(kind.__name__)
    return None


def _reach_memory(walk: Walk, value: Any) -> None:
    root = value
    while type(root.base) is type(value):
        root = root.base
    if root.base is not None:
        walk.reaches(root.base)
    walk.reaches(root)  # An array of its own, or what many views show parts of.


def array(walk: Walk, value: Any) -> None:
    """An array: its type, shape and memory."""
    _reach_memory(walk, value)
    if not walk.first(value, mutable=False):
        return
    walk.emit(b"a")
    walk.text(str(value.dtype))
    walk.text(str(value.shape))
    if value.dtype.hasobject:
        if value.dtype.kind != "O":
            walk.cannot(value, linked=False)
            return
        flat = value.reshape(-1)
        walk.prints.allowance.check(64 * flat.size, 2e9)
        walk.items(flat.tolist(), b"l")
        return
    if value.size:
        _memory(walk, value)


def _memory(walk: Walk, value: Any) -> None:
    numpy = loaded("numpy")
    size = value.nbytes
    if value.flags.c_contiguous:
        flat, rate = value.reshape(-1), None
    elif value.flags.f_contiguous:
        walk.emit(b"T")
        flat, rate = value.T.reshape(-1), None
    else:
        walk.prints.allowance.check(size, _COPIED)
        flat, rate = numpy.ascontiguousarray(value).reshape(-1), None
    walk.buffer(flat.view(numpy.uint8), size, rate)


def _array_subclass(walk: Walk, value: Any) -> None:
    """A matrix, a masked array, a person's own: the array that it is, and its attributes."""
    numpy = loaded("numpy")
    walk.reaches(value)
    plain = numpy.ndarray.view(value, numpy.ndarray)
    walk.text(type(value).__qualname__)
    for cls in type.__dict__["__mro__"].__get__(type(value)):
        attributes = class_vars(cls).get("__dict__")
        if type(attributes) is types.GetSetDescriptorType:
            walk.push(attributes.__get__(value))
    array(walk, plain)


def _scalar(walk: Walk, value: Any) -> None:
    walk.emit(b"g")
    walk.text(str(value.dtype))
    if value.dtype.hasobject:
        walk.cannot(value, linked=False)
    else:
        data = value.tobytes()
        walk.emit(b"%d|" % len(data) + data)


def _by_name(walk: Walk, value: Any) -> None:
    walk.emit(b"n")
    walk.text(str(value))


def _generator(walk: Walk, value: Any) -> None:
    bits = value.bit_generator
    if walk.first(value) and walk.first(bits):
        walk.emit(b"R")
        walk.content(bits.state)


def _bit_generator(walk: Walk, value: Any) -> None:
    if walk.first(value):
        walk.emit(b"R")
        walk.content(value.state)


def _random_state(walk: Walk, value: Any) -> None:
    if walk.first(value):
        walk.emit(b"R")
        walk.content(value.get_state(legacy=False))


_GENERATORS: dict[str, Handler] = {
    "Generator": _generator,
    "RandomState": _random_state,
    **dict.fromkeys(("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"), _bit_generator),
}


# pandas

_SMALL_COLUMN = 65_536  # Bytes that are gathered rather than hashed where they lie.


def _pandas_handler(kind: type) -> Handler | None:
    pandas = loaded("pandas")
    if pandas is None or not hasattr(pandas, "DataFrame"):
        return None
    if kind is pandas.DataFrame:
        return _frame
    if kind is pandas.Series:
        return _series
    if inherits(kind, pandas.MultiIndex):
        return _multi_index
    if inherits(kind, pandas.Index):
        return _index
    if inherits(kind, pandas.api.extensions.ExtensionArray):
        return _extension
    if inherits(kind, pandas.api.extensions.ExtensionDtype):
        return _dtype
    if kind in (pandas.Timestamp, pandas.Timedelta, pandas.Period, type(pandas.NaT),
                type(pandas.NA), pandas.Interval) or inherits(kind, pandas.DateOffset):  # fmt: skip
        return _moment
    if kind.__name__ in ("IntIndex", "BlockIndex"):
        return _sparse_index
    if kind.__name__ in ("Flags", "BlockValuesRefs"):
        return _nothing
    return None


def _frame(walk: Walk, value: Any) -> None:
    if not walk.first(value):
        return
    manager = object.__getattribute__(value, "_mgr")
    columns, rows = manager.axes
    walk.emit(b"f%d|%d|" % (len(columns), len(rows)))
    walk.push(value.attrs, rows, columns)
    blocks = manager.blocks
    if len(blocks) == 1 and _in_one_piece(blocks[0]):
        walk.push(blocks[0].values)
        return
    plain = {number: _rows(walk, b.values) for number, b in enumerate(blocks) if _is_plain(b)}
    walk.prints.allowance.check(64 * len(columns))
    numbers, places = manager.blknos.tolist(), manager.blklocs.tolist()
    # By column, not by block: pandas joins blocks whenever it likes.
    for position, (number, place) in enumerate(zip(numbers, places, strict=True)):
        found = plain.get(number)
        if found is None:
            walk.emit(b"p%d|" % position)
            walk.push(manager.iget_values(position))
            continue
        kind, data = found
        walk.emit(kind)
        if data.shape[1] > _SMALL_COLUMN:
            walk.buffer(data[place], 0)
        else:
            walk.emit(data[place].tobytes())


def _is_plain(block: Any) -> bool:
    values = block.values
    return type(values) is loaded("numpy").ndarray and not values.dtype.hasobject


def _rows(walk: Walk, values: Any) -> tuple[bytes, Any]:
    """The type of a block's columns, and their bytes, one column a row."""
    numpy = loaded("numpy")
    _reach_memory(walk, values)
    walk.prints.allowance.check(values.nbytes, None if values.flags.c_contiguous else _COPIED)
    kind = str(values.dtype)
    together = numpy.ascontiguousarray(values)
    data = together.view(numpy.uint8) if together.size else together.reshape(len(together), 0)
    return b"P%d:%s|" % (values.shape[1], kind.encode()), data


def _in_one_piece(block: Any) -> bool:
    """Whether all columns are one array in their order, as a frame made of an array has them."""
    values = block.values
    numpy = loaded("numpy")
    if type(values) is not numpy.ndarray or values.ndim != 2 or values.dtype.hasobject:
        return False
    places = block.mgr_locs.as_array
    ordered = bool((places == numpy.arange(len(places))).all())
    return ordered and values.flags.f_contiguous and not values.flags.c_contiguous


def _series(walk: Walk, value: Any) -> None:
    if not walk.first(value):
        return
    manager = object.__getattribute__(value, "_mgr")
    walk.emit(b"S")
    walk.push(value.attrs, object.__getattribute__(value, "_name"))
    walk.push(manager.axes[0], manager.blocks[0].values)


def _index(walk: Walk, value: Any) -> None:
    if not walk.first(value):
        return
    walk.emit(b"x")
    walk.text(type(value).__name__)
    held = object.__getattribute__(value, "__dict__")
    walk.push(held.get("_name"))
    if type(held.get("_range")) is range:
        walk.push(held["_range"])
    elif held.get("_data") is not None:
        walk.push(held["_data"])
    else:
        walk.cannot(value, linked=False)


def _multi_index(walk: Walk, value: Any) -> None:
    if not walk.first(value):
        return
    walk.emit(b"X")
    held = object.__getattribute__(value, "__dict__")
    for name in ("_names", "_codes", "_levels"):
        part = list(held.get(name, ()))
        walk.items(part, b"l")


def _extension(walk: Walk, value: Any) -> None:
    """An array of pandas' own: the arrays that it is made of, and its type."""
    if not walk.first(value, mutable=False):
        return
    walk.emit(b"e")
    walk.text(type(value).__name__)
    found = False
    for name in _ARRAY_PARTS:
        try:
            part = object.__getattribute__(value, name)
        except AttributeError:
            continue
        found = True
        walk.push(part)
    if not found:
        walk.cannot(value, linked=False)
    walk.push(value.dtype)


def _sparse_index(walk: Walk, value: Any) -> None:
    walk.emit(b"z%d|" % value.length)
    walk.content(value.indices)


def _dtype(walk: Walk, value: Any) -> None:
    walk.emit(b"t")
    walk.text(str(value))
    categories = getattr(value, "categories", None)
    if categories is not None:
        walk.emit(b"1" if value.ordered else b"0")
        walk.push(categories)


def _moment(walk: Walk, value: Any) -> None:
    walk.emit(b"@")
    walk.text(type(value).__name__)
    walk.text(repr(value))


def _nothing(walk: Walk, value: Any) -> None:
    walk.emit(b"0")


# Arrow: what cannot be changed; only memory lent by an array can.


def _arrow_handler(kind: type) -> Handler | None:
    arrow = loaded("pyarrow")
    if arrow is None or not hasattr(arrow, "Table"):
        return None
    if inherits(kind, arrow.Table) or inherits(kind, arrow.RecordBatch):
        return _arrow_table
    if inherits(kind, arrow.ChunkedArray):
        return _arrow_chunked
    if inherits(kind, arrow.Array):
        return _arrow_array
    if inherits(kind, arrow.DataType) or inherits(kind, arrow.Schema):
        return _by_name
    if inherits(kind, arrow.Field) or inherits(kind, arrow.Scalar):
        return _by_name
    return None


def _arrow_table(walk: Walk, value: Any) -> None:
    if not walk.first(value, mutable=False):
        return
    walk.emit(b"pt")
    walk.text(value.schema.to_string(show_field_metadata=True, show_schema_metadata=True))
    walk.push(*value.columns)


def _arrow_chunked(walk: Walk, value: Any) -> None:
    walk.emit(b"pc%d|" % value.num_chunks)
    for chunk in value.chunks:
        _arrow_array(walk, chunk)


def _arrow_array(walk: Walk, value: Any) -> None:
    walk.emit(b"pa%d|%d|" % (len(value), value.offset))
    walk.text(str(value.type))
    for buffer in value.buffers():
        if buffer is None:
            walk.emit(b"-")
        elif not buffer.is_cpu:
            walk.opaque = True
        else:
            walk.emit(b"b%d|" % buffer.size)
            walk.buffer(memoryview(buffer), buffer.size)


# polars: frames whose columns cannot be changed, only replaced.


def _polars_frame(walk: Walk, value: Any) -> None:
    if not walk.first(value):
        return
    walk.emit(b"q")
    names = value.columns
    walk.items(list(names), b"k")
    for name in names:
        _polars_column(walk, value.get_column(name))


def _polars_series(walk: Walk, value: Any) -> None:
    if walk.first(value):
        walk.emit(b"s")
        _polars_column(walk, value)


def _polars_column(walk: Walk, value: Any) -> None:
    walk.text(value.name)
    walk.text(str(value.dtype))
    walk.emit(b"%d|" % len(value))
    if str(value.dtype) == "Object":
        walk.opaque = True
        return
    size = int(value.estimated_size())
    walk.prints.allowance.check(size, _HASHED)
    try:
        hashed = value.hash(1)
        data = hashed.to_numpy()
    except Exception:  # A type that it cannot hash.
        walk.opaque = True
        return
    walk.buffer(loaded("numpy").ascontiguousarray(data), 8 * len(hashed))


_POLARS: dict[str, Handler] = {"DataFrame": _polars_frame, "Series": _polars_series}
