"""pandas' columns and indexes as columns, and back: every dtype exactly, or refused by name."""

from __future__ import annotations

import datetime as dt
import importlib
import sys
from typing import Any

from ..errors import CorruptError, Refused
from .arrow_columns import arrow_column, arrow_of
from .cells import cells_column, cells_of
from .numpy_columns import numpy_of, values_column
from .plain import type_name
from .streams import Column, Fixed, Text

__all__ = [
    "index_column",
    "index_of",
    "label_of",
    "label_text",
    "pandas_column",
    "pandas_of",
    "zone_text",
]


def pandas_column(values: Any, column: str = "") -> Column:
    """Return the column of an array of pandas' or NumPy's.

    Raises ``Refused`` for an extension type of somebody else's.
    """
    pandas: Any = sys.modules["pandas"]
    numpy: Any = sys.modules["numpy"]
    if type(values) is pandas.arrays.NumpyExtensionArray:  # Its subclass holds strings.
        values = values.to_numpy()
    if isinstance(values, numpy.ndarray):
        return values_column(values, column)
    dtype = values.dtype
    name = str(dtype)
    if isinstance(dtype, numpy.dtype):  # dates and durations without a zone
        return Column({"kind": "stamps", "dtype": name}, len(values), _stamps(values))
    if isinstance(dtype, pandas.DatetimeTZDtype):
        zone = zone_text(dtype.tz, column)
        meta = {"kind": "zoned", "dtype": name, "unit": dtype.unit, "zone": zone}
        return Column(meta, len(values), _stamps(values))
    if isinstance(dtype, pandas.PeriodDtype):
        meta = {"kind": "period", "dtype": name}
        return Column(meta, len(values), _stamps(values))
    if isinstance(dtype, pandas.CategoricalDtype):
        ordered = None if dtype.ordered is None else bool(dtype.ordered)
        meta = {"kind": "category", "dtype": name, "ordered": ordered}
        parts = {"categories": index_column(dtype.categories, column)}
        return Column(meta, len(values), {"codes": Fixed(values.codes)}, parts=parts)
    if isinstance(dtype, pandas.StringDtype):
        return _strings(pandas, values, dtype, column)
    if isinstance(dtype, pandas.ArrowDtype):
        inside = arrow_column(values.__arrow_array__(), column)
        return Column(
            {"kind": "arrow-backed", "dtype": name}, len(values), aligned={"values": inside}
        )
    if isinstance(dtype, pandas.IntervalDtype):
        ends = {
            "left": index_column(values.left, column),
            "right": index_column(values.right, column),
        }
        meta = {"kind": "interval", "dtype": name, "closed": dtype.closed}
        return Column(meta, len(values), aligned=ends)
    if isinstance(dtype, pandas.SparseDtype):
        return _sparse(values, dtype, column)
    if hasattr(values, "_mask") and type(dtype).__module__.partition(".")[0] == "pandas":
        mask = values._mask
        data = values._data
        if mask.any():  # What lies below a missing value is anything.
            data = numpy.where(mask, data.dtype.type(0), data)
        streams: dict[str, Fixed | Text] = {"values": Fixed(data)}
        if mask.any():
            streams["missing"] = Fixed(mask)
        return Column({"kind": "masked", "dtype": name}, len(values), streams)
    raise Refused(
        f"column {column!r}: the dtype {dtype} of {type_name(dtype)} is not known",
        hint="Convert the column to a dtype of pandas' own.",
        column=column,
    )


def pandas_of(column: Column) -> Any:
    """The array of a column."""
    import numpy

    pandas: Any = importlib.import_module("pandas")
    meta, kind = column.meta, column.meta["kind"]
    if kind in ("numpy", "objects"):
        return numpy_of(column)
    if kind == "stamps":
        return pandas.array(_fixed(column).view(meta["dtype"]), copy=False)
    if kind == "zoned":
        dtype = pandas.DatetimeTZDtype(meta["unit"], zone_of(meta["zone"]))
        stamps = pandas.DatetimeIndex(_fixed(column).view(f"M8[{meta['unit']}]"), copy=False)
        return stamps.tz_localize("UTC").tz_convert(dtype.tz).array
    if kind == "period":
        freq: Any = pandas.api.types.pandas_dtype(meta["dtype"])
        return pandas.PeriodIndex.from_ordinals(_fixed(column), freq=freq.freq).array
    if kind == "category":
        dtype = pandas.CategoricalDtype(index_of(column.parts["categories"]), meta["ordered"])
        return pandas.Categorical.from_codes(_fixed(column, "codes"), dtype=dtype)
    if kind == "strings":
        return _strings_of(pandas, column)
    if kind == "arrow-backed":
        return pandas.arrays.ArrowExtensionArray(arrow_of(column.aligned["values"]))
    if kind == "interval":
        left, right = (index_of(column.aligned[end]) for end in ("left", "right"))
        return pandas.arrays.IntervalArray.from_arrays(left, right, closed=meta["closed"])
    if kind == "sparse":
        return _sparse_of(pandas, column)
    if kind == "masked":
        maker: Any = pandas.api.types.pandas_dtype(meta["dtype"]).construct_array_type()
        missing = column.streams.get("missing")
        mask = _fixed(column, "missing") if missing else numpy.zeros(column.length, bool)
        return maker(_fixed(column), mask)
    raise CorruptError(f"no columns are of kind {kind!r}")


def index_column(index: Any, column: str = "index") -> Column:
    """Return the column of an index: its values, rule or levels, names and frequency."""
    pandas: Any = sys.modules["pandas"]
    names = [label_text(name) for name in index.names]
    if type(index) is pandas.RangeIndex:
        rule = {"start": index.start, "stop": index.stop, "step": index.step}
        return Column({"kind": "range", "names": names} | rule, len(index))
    if type(index) is pandas.MultiIndex:
        streams: dict[str, Fixed | Text] = {
            f"codes{n}": Fixed(codes) for n, codes in enumerate(index.codes)
        }
        levels = {f"level{n}": index_column(level, column) for n, level in enumerate(index.levels)}
        return Column({"kind": "multi", "names": names}, len(index), streams, parts=levels)
    if type(index).__module__.partition(".")[0] != "pandas":
        raise Refused(f"{column}: an index of {type_name(index)} is not known", column=column)
    freq = getattr(index, "freq", None) if type(index) is not pandas.PeriodIndex else None
    text = None if freq is None else freq.freqstr
    if text is not None and pandas.tseries.frequencies.to_offset(text) != freq:
        raise Refused(f"{column}: the frequency {freq!r} cannot be written", column=column)
    meta = {"kind": "index", "names": names, "freq": text}
    return Column(meta, len(index), aligned={"values": pandas_column(index.array, column)})


def index_of(column: Column) -> Any:
    """The index of a column."""
    pandas: Any = importlib.import_module("pandas")
    meta, kind = column.meta, column.meta["kind"]
    names = [label_of(name) for name in meta["names"]]
    if kind == "range":
        whole = range(meta["start"], meta["stop"], meta["step"])
        if column.length != len(whole) or column.low:
            whole = whole[column.low : column.low + column.length]
        return pandas.RangeIndex(whole, name=names[0])
    if kind == "multi":
        count = len(names)
        levels = [index_of(column.parts[f"level{n}"]) for n in range(count)]
        codes = [_fixed(column, f"codes{n}") for n in range(count)]
        for level, code in zip(levels, codes, strict=True):
            if len(code) and not -1 <= int(code.min()) <= int(code.max()) < len(level):
                raise CorruptError("codes of an index do not fit its levels")
        return pandas.MultiIndex(levels, codes, names=names, verify_integrity=False)
    if kind != "index":
        raise CorruptError(f"no indexes are of kind {kind!r}")
    values = pandas_of(column.aligned["values"])
    index = pandas.Index(values, dtype=values.dtype, name=names[0], copy=False)
    if meta["freq"] is not None:
        try:
            index.freq = meta["freq"]
        except ValueError:  # Rows that are not neighbours.
            index.freq = None
    return index


def label_text(name: Any) -> Any:
    """A label as JSON: a ``str`` or ``None`` is itself.  Raises ``Refused``."""
    if name is None or type(name) is str:
        try:
            (name or "").encode()
        except UnicodeEncodeError:
            pass
        else:
            return name
    from .cells import PICKLED, write_cell

    kind, data = write_cell(name)
    if kind == PICKLED:
        raise Refused(f"the label {name!r} of {type_name(name)} is not a plain value")
    return {"kind": kind, "hex": data.hex()}


def label_of(text: Any) -> Any:
    """The label of ``label_text``."""
    if text is None or isinstance(text, str):
        return text
    from .cells import PICKLED, read_cell

    if text["kind"] == PICKLED:
        raise CorruptError("a label cannot be pickled")
    return read_cell(text["kind"], bytes.fromhex(text["hex"]))


def zone_of(zone: dict[str, Any]) -> dt.tzinfo:
    """The time zone of what ``zone_text`` wrote."""
    if "fixed" in zone:
        return dt.timezone(dt.timedelta(seconds=zone["fixed"]))
    if "pytz" in zone:
        import pytz  # type: ignore[import-untyped,unused-ignore]

        found: dt.tzinfo = pytz.timezone(zone["pytz"])
        return found
    from zoneinfo import ZoneInfo

    return ZoneInfo(zone["key"])


def zone_text(zone: Any, column: str = "") -> dict[str, Any]:
    """A time zone as JSON.  Raises ``Refused`` for one that would not come back."""
    if isinstance(zone, dt.timezone):
        offset = zone.utcoffset(None)
        if repr(dt.timezone(offset)) == repr(zone) or zone == dt.UTC:
            return {"fixed": offset.total_seconds()}
    module = type(zone).__module__.partition(".")[0]
    key = getattr(zone, "key", None)
    if module == "zoneinfo" and isinstance(key, str):
        return {"key": key}
    key = getattr(zone, "zone", None)
    if module == "pytz" and isinstance(key, str):
        return {"pytz": key}
    raise Refused(
        f"column {column!r}: the time zone {zone!r} of {type_name(zone)} is not known",
        hint="Use a zone of zoneinfo.",
        column=column,
    )


def _stamps(values: Any) -> dict[str, Fixed | Text]:
    return {"values": Fixed(values.asi8)}


def _strings(pandas: Any, values: Any, dtype: Any, column: str) -> Column:
    missing = "NA" if dtype.na_value is pandas.NA else "NaN"
    meta = {
        "kind": "strings",
        "dtype": str(dtype),
        "storage": dtype.storage,
        "missing": missing,
    }
    if dtype.storage == "pyarrow":
        inside = arrow_column(values.__arrow_array__(), column)
        return Column(meta, len(values), aligned={"values": inside})
    items = [v if isinstance(v, str) else None for v in values.tolist()]
    inside = cells_column(items, {"kind": "objects"}, column)
    return Column(meta, len(values), aligned={"values": inside})


def _strings_of(pandas: Any, column: Column) -> Any:
    import numpy

    meta = column.meta
    missing = pandas.NA if meta["missing"] == "NA" else numpy.nan
    options = {} if missing is pandas.NA else {"na_value": missing}  # pandas 2.2 knows NA only.
    dtype = pandas.StringDtype(meta["storage"], **options)
    maker = dtype.construct_array_type()
    inside = column.aligned["values"]
    if meta["storage"] == "pyarrow":
        import pyarrow

        return maker(pyarrow.chunked_array([arrow_of(inside)]), dtype=dtype)
    array = numpy.empty(column.length, object)
    array[:] = [missing if v is None else v for v in cells_of(inside)]
    return maker(array, dtype=dtype)


def _sparse(values: Any, dtype: Any, column: str) -> Column:
    """A sparse column: where something is, what, and what is everywhere else."""
    numpy: Any = sys.modules["numpy"]
    inside = values.sp_index
    fill = numpy.empty(1, dtype.subtype)
    fill[0] = dtype.fill_value
    parts = {
        "positions": values_column(inside.to_int_index().indices, column),
        "stored": pandas_column(values.sp_values, column),
        "fill": cells_column([dtype.fill_value], {"kind": "objects"}, column),
    }
    meta = {
        "kind": "sparse",
        "dtype": str(dtype),
        "subtype": dtype.subtype.str,
        "index": values.kind,
        "count": len(values),
    }
    return Column(meta, len(values), parts=parts)


def _sparse_of(pandas: Any, column: Column) -> Any:
    import numpy

    meta = column.meta
    positions = numpy_of(column.parts["positions"])
    fill = cells_of(column.parts["fill"])[0]
    sparse: Any = importlib.import_module("pandas._libs.sparse")
    index = sparse.IntIndex(meta["count"], positions.astype("i4"), check_integrity=True)
    if meta["index"] == "block":
        index = index.to_block_index()
    dtype = pandas.SparseDtype(numpy.dtype(meta["subtype"]), fill)
    stored = pandas_of(column.parts["stored"])
    # The public ways either guess the index anew or are deprecated.
    maker: Any = pandas.arrays.SparseArray
    array = maker._simple_new(numpy.asarray(stored), index, dtype)
    if column.length != meta["count"]:
        array = array[column.low : column.low + column.length]
    return array


def _fixed(column: Column, name: str = "values") -> Any:
    stream = column.streams[name]
    if not isinstance(stream, Fixed):
        raise CorruptError(f"the stream {name!r} is not of fixed width")
    return stream.values
