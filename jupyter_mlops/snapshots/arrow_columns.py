"""Arrow's arrays as columns, and back."""

from __future__ import annotations

import base64
import sys
from typing import Any

from ..errors import CorruptError, Refused
from .arrow import _bits, _has_offsets, bytes_of
from .scratch import scratch
from .streams import Column, Fixed, Text

__all__ = ["arrow_column", "arrow_of", "read_schema", "schema_text"]

_IPC_ROWS = 65_536
_IPC_BYTES = 64 * 1024 * 1024


def arrow_column(data: Any, column: str = "") -> Column:
    """Return the column of an ``Array`` or ``ChunkedArray``.

    Numbers, dates, booleans and strings are their values (0 where missing) and ``valid``; a
    dictionary is its indices and the dictionary as a part; whatever else is Arrow's own IPC format,
    one value for each 65,536 rows.
    """
    import pyarrow

    array = _one(pyarrow, data)
    kind, types = array.type, pyarrow.types
    meta = {"kind": "arrow", "type": schema_text(pyarrow.schema([pyarrow.field("", kind)]))}
    if types.is_dictionary(kind):
        index = arrow_column(array.indices, column)
        found = Column(meta | {"form": "dictionary"}, len(array), index.streams)
        found.parts["dictionary"] = arrow_column(array.dictionary, column)
        return found
    numpy = _numpy()
    streams: dict[str, Fixed | Text] = {}
    valid = None
    if array.null_count and len(array) and not types.is_null(kind):
        valid = _valid(array)
        streams["valid"] = Fixed(valid)
    if types.is_boolean(kind):
        bits = _bits(array, 1)
        return Column(
            meta | {"form": "bits"},
            len(array),
            {"values": Fixed(bits if valid is None else bits & valid), **streams},
        )
    if _has_offsets(pyarrow, kind):
        return Column(
            meta | {"form": "text"}, len(array), {"values": _text(array, valid, column), **streams}
        )
    if types.is_primitive(kind) or types.is_decimal(kind):
        width = kind.bit_width // 8
        code = f"<u{width}" if width in (1, 2, 4, 8) else f"|V{width}"
        if not len(array):
            return Column(meta | {"form": "fixed"}, 0, {"values": Fixed(numpy.zeros(0, code))})
        values = numpy.frombuffer(array.buffers()[1], code, len(array), array.offset * width)
        if valid is not None:
            values = values.copy()
            values[~valid] = numpy.zeros(1, code)[0]
        return Column(meta | {"form": "fixed"}, len(array), {"values": Fixed(values), **streams})
    return Column(meta | {"form": "ipc"}, len(array), parts={"batches": _batches(pyarrow, array)})


def arrow_of(column: Column) -> Any:
    """The Arrow array of a column (all its rows)."""
    import pyarrow

    numpy = _numpy()
    meta, rows = column.meta, column.length
    kind = read_schema(meta["type"]).field(0).type
    if meta["form"] == "ipc":
        return _of_ipc(pyarrow, column, kind)
    if meta["form"] == "dictionary":
        index = Column(
            {"form": "fixed", "type": schema_text(_schema_of(kind.index_type))},
            rows,
            column.streams,
        )
        dictionary = arrow_of(column.parts["dictionary"])
        indices = arrow_of(index)
        # Checked: an index beyond the dictionary would read foreign memory.
        return pyarrow.DictionaryArray.from_arrays(indices, dictionary, ordered=kind.ordered).cast(
            kind
        )
    valid, missing = None, 0
    if "valid" in column.streams:
        truth = column.streams["valid"].values.astype(bool)  # type: ignore[union-attr]
        valid = pyarrow.py_buffer(numpy.packbits(truth, bitorder="little"))
        missing = int(rows - truth.sum())
    stream = column.streams["values"]
    if isinstance(stream, Text):
        wide = kind in (pyarrow.large_string(), pyarrow.large_binary())
        if not wide and int(stream.offsets[-1]) >= 2**31:
            raise Refused(f"rows of {kind} hold more than 2 GB", hint="Load fewer rows.")
        offsets = stream.offsets if wide else stream.offsets.astype("<i4")
        buffers = [valid, pyarrow.py_buffer(offsets), pyarrow.py_buffer(stream.data)]
    elif meta["form"] == "bits":
        bits = numpy.packbits(stream.values.astype(bool), bitorder="little")
        buffers = [valid, pyarrow.py_buffer(bits)]
    else:
        if stream.values.dtype.itemsize * 8 != kind.bit_width:
            raise CorruptError(f"values of {stream.values.dtype.itemsize} bytes cannot be {kind}")
        buffers = [valid, pyarrow.py_buffer(stream.values)]
    return pyarrow.Array.from_buffers(kind, rows, buffers, missing)


def schema_text(schema: Any) -> str:
    """A schema as text: Arrow's own bytes in base64."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode("ascii")


def read_schema(text: str) -> Any:
    """The schema of ``schema_text``."""
    import pyarrow

    return pyarrow.ipc.read_schema(pyarrow.py_buffer(base64.b64decode(text)))


def _schema_of(kind: Any) -> Any:
    pyarrow: Any = sys.modules["pyarrow"]
    return pyarrow.schema([pyarrow.field("", kind)])


def _one(pyarrow: Any, data: Any) -> Any:
    """One array of it all."""
    if isinstance(data, pyarrow.Array):
        return data
    if pyarrow.types.is_dictionary(data.type):
        data = data.unify_dictionaries()
    if data.num_chunks == 1:
        return data.chunk(0)
    if data.num_chunks == 0:
        return pyarrow.array([], data.type)
    # What ``combine_chunks`` does, which leaves its argument for the memory aside.
    return pyarrow.concat_arrays(data.chunks, scratch())


def _valid(array: Any) -> Any:
    return _bits(array.is_valid(), 1)


def _text(array: Any, valid: Any, column: str) -> Text:
    numpy = _numpy()
    pyarrow: Any = sys.modules["pyarrow"]
    rows, kind = len(array), array.type
    buffers = array.buffers()
    if not rows or buffers[1] is None:
        return Text(numpy.zeros(rows + 1, "i8"), numpy.zeros(0, "u1"))
    wide = kind in (pyarrow.large_string(), pyarrow.large_binary())
    width = 8 if wide else 4
    offsets = numpy.frombuffer(buffers[1], f"i{width}", rows + 1, array.offset * width)
    first, last = int(offsets[0]), int(offsets[-1])
    data = numpy.zeros(0, "u1")
    if buffers[2] is not None and last > first:
        data = numpy.frombuffer(buffers[2], "u1", last - first, first)
    if first or not wide:
        offsets = offsets.astype("i8") - first
    if valid is not None:
        gone = numpy.flatnonzero(~valid)
        # What lies below a missing value is anything.
        if (offsets[gone + 1] - offsets[gone]).any():
            lengths = offsets[1:] - offsets[:-1]
            data = data[numpy.repeat(valid, lengths)]
            lengths = numpy.where(valid, lengths, 0)
            offsets = numpy.zeros(rows + 1, "i8")
            numpy.cumsum(lengths, out=offsets[1:])
    if len(data) >= 2**30 and int((offsets[1:] - offsets[:-1]).max()) >= 2**30:
        raise Refused(f"column {column!r}: a value of more than 1 GB", column=column)
    return Text(offsets, data)


def _batches(pyarrow: Any, array: Any) -> Column:
    """Arrow's own format: a value for each 65,536 rows, a stream of one record batch."""
    numpy = _numpy()
    schema = _schema_of(array.type)
    found = []
    step = _IPC_ROWS
    while step > 1 and bytes_of(array) * step > _IPC_BYTES * max(len(array), 1):
        step //= 2
    for start in range(0, len(array), step):
        part = array.slice(start, step)
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(pyarrow.record_batch([part], schema=schema))
        found.append(numpy.frombuffer(sink.getvalue(), "u1"))
    offsets = numpy.zeros(len(found) + 1, "i8")
    numpy.cumsum([len(data) for data in found], out=offsets[1:])
    data = numpy.concatenate(found) if found else numpy.zeros(0, "u1")
    return Column({"kind": "batches"}, len(found), {"values": Text(offsets, data)})


def _of_ipc(pyarrow: Any, column: Column, kind: Any) -> Any:
    text = column.parts["batches"].streams["values"]
    assert isinstance(text, Text)  # noqa: S101 - made by Reader from the manifest's "store"
    arrays = []
    for start, stop in zip(text.offsets.tolist(), text.offsets[1:].tolist(), strict=False):
        with pyarrow.ipc.open_stream(pyarrow.py_buffer(text.data[start:stop])) as reader:
            table = reader.read_all()
        table.validate(full=True)
        if table.num_columns != 1 or table.schema.field(0).type != kind:
            raise CorruptError("a column in Arrow's format is not what the manifest says")
        arrays.append(table.column(0))
    whole = pyarrow.chunked_array([c for a in arrays for c in a.chunks], kind)
    part = whole.slice(column.low, column.length)
    if len(part) != column.length:
        raise CorruptError("a column in Arrow's format has other rows than the manifest says")
    return _one(pyarrow, part)


def _numpy() -> Any:
    import numpy

    return numpy
