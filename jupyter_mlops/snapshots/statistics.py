"""Statistics of columns, in one pass while they are stored: plain JSON in the manifest.

Counts, least, greatest, mean and deviation are of all rows.  Quantiles are of ``sample`` rows at
even distances (all of them where there are no more), top values of ``top_of`` rows: all where there
are few distinct values, else the sample.  ``distinct`` is exact up to 2,048 at least and where the
sample is all, else an estimate from the 2,048 least hashes (standard error 2.2%; Bar-Yossef et al.,
"Counting distinct elements in a data stream", 2002).  A column whose chunks are the parent's keeps
the parent's statistics.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from blake3 import blake3

from .chunking import binary_of
from .streams import Coded, Column, Fixed, Text

__all__ = ["Statistics"]

_SAMPLE = 16_384
_HEAD = 65_536
_LEAST = 2048
_TOP = 10
_TEXT = 100  # Characters of a value that are shown.
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_BLOCK = 1 << 20
_encode = json.JSONEncoder(sort_keys=True).encode


class Statistics:
    """Collects the statistics of one version."""

    def __init__(self, parent: dict[str, Any] | None = None, *, wanted: bool = True) -> None:
        self._wanted = wanted
        columns = (parent or {}).get("columns", [])
        self._known = {c["key"]: c for c in columns if "key" in c}
        self._columns: list[dict[str, Any]] = []

    def add(self, name: str, column: Column | Callable[[], Column], node: dict[str, Any]) -> None:
        """Describe a column, or what gives it; ``node`` is how it was stored."""
        if not self._wanted:
            return
        key = _key(node)
        known = self._known.get(key)
        if known is not None:
            self._columns.append(known | {"name": name})
            return
        column = column() if callable(column) else column
        found = {"name": name, "key": key, "rows": column.length, **_describe(column)}
        self._columns.append(found)

    def knows(self, node: dict[str, Any]) -> bool:
        """Whether a column as it is stored was described before."""
        return bool(self._known) and _key(node) in self._known

    def result(self, tree: dict[str, Any]) -> dict[str, Any]:
        """All of it: ``{"rows", "columns": [...]}``; nothing where none were wanted."""
        if not self._wanted:
            return {}
        rows = tree.get("length")
        return {"rows": rows, "columns": self._columns}


def _key(node: dict[str, Any]) -> str:
    plain = {k: v for k, v in node.items() if k != "name"}
    if plain.get("taken"):
        plain = {"whole": plain["whole"]}
    return blake3(_encode(plain).encode()).hexdigest()[:32]


def _describe(column: Column) -> dict[str, Any]:
    """What can be said of a column's values."""
    import numpy

    meta, kind = column.meta, column.meta.get("kind")
    text = str(meta.get("dtype") or meta.get("form") or kind)
    if kind in ("arrow-backed", "strings"):
        return _describe(column.aligned["values"]) | {"type": text}
    found: dict[str, Any] = {"type": _arrow_type(meta) if kind == "arrow" else text}
    missing = None
    if "valid" in column.streams:
        missing = column.streams["valid"].values == 0  # type: ignore[union-attr]
    elif "missing" in column.streams:
        missing = column.streams["missing"].values != 0  # type: ignore[union-attr]
    elif "kinds" in column.streams:
        letters = column.streams["kinds"].values  # type: ignore[union-attr]
        missing = numpy.isin(letters, numpy.frombuffer(b"0NZ", "u1"))
    stream = column.streams.get("values") or column.streams.get("cells")
    if stream is None and "codes" in column.streams:
        codes = column.streams["codes"]
        assert isinstance(codes, Fixed)  # noqa: S101 - categories have them so
        missing = codes.values < 0
        counts = numpy.bincount(codes.values[~missing].astype("i8"))
        return found | {
            "missing": int(missing.sum()),
            "distinct": {"count": int((counts > 0).sum()), "exact": True},
        }
    if kind == "arrow" and meta["form"] == "dictionary":
        return found | {"missing": 0 if missing is None else int(missing.sum())}
    if stream is None:
        return found
    if isinstance(stream, Text):
        letters = column.streams.get("kinds")
        return found | _texts(stream, missing, plain=letters is None or _only_text(letters))
    return found | _numbers(_typed(stream, meta), missing)


def _numbers(values: Any, missing: Any) -> dict[str, Any]:
    import numpy

    if values is None:
        return {"missing": 0 if missing is None else int(missing.sum())}
    if values.dtype.kind in "mM":
        absent = numpy.isnat(values)
    elif values.dtype.kind in "fc":
        absent = numpy.isnan(values)
    else:
        absent = None
    if absent is not None and missing is not None:
        missing = missing | absent
    elif absent is not None:
        missing = absent
    count = 0 if missing is None else int(missing.sum())
    present = values if not count else values[~missing]
    found: dict[str, Any] = {"missing": count}
    if not len(present):
        return found | {"distinct": {"count": 0, "exact": True}}
    sample = present[:: max(1, -(-len(present) // _SAMPLE))]
    found["sample"] = len(sample)
    ordered = numpy.sort(sample)
    whole = len(sample) == len(present)
    few = _runs(ordered) if whole else _counted(present)
    if few is None:
        found["distinct"] = _distinct(len(present), lambda a, b: _hashes(present[a:b]))
    else:
        found["distinct"] = {"count": len(few[0]), "exact": True}
    if values.dtype.kind != "c":
        least, most = (ordered[0], ordered[-1]) if whole else (present.min(), present.max())
        found |= {"min": _json(least), "max": _json(most)}
        places = [min(len(ordered) - 1, int(q * (len(ordered) - 1) + 0.5)) for q in _QUANTILES]
        found["quantiles"] = dict(zip(map(str, _QUANTILES), _jsons(ordered[places]), strict=True))
    if values.dtype.kind in "iuf":
        with numpy.errstate(all="ignore"):
            mean = numpy.mean(present, dtype="f8")
            found["mean"] = _json(mean)
            found["std"] = _json(_deviation(present, mean))
    elif values.dtype.kind == "b":
        found["mean"] = float(present.mean())
    kinds, counts = _runs(ordered) if few is None else few
    if int(counts.max()) == 1:
        best = numpy.arange(min(_TOP, len(counts)))
    else:
        best = numpy.argsort(-counts, kind="stable")[:_TOP]
    top = zip(_jsons(kinds[best]), counts[best].tolist(), strict=True)
    found["top"] = [list(pair) for pair in top]
    found["top_of"] = len(sample) if few is None else len(present)
    return found


def _runs(ordered: Any) -> tuple[Any, Any]:
    """Distinct values and their counts, of values in order."""
    import numpy

    starts = numpy.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    starts = numpy.concatenate([numpy.zeros(1, "i8"), starts])
    counts = numpy.empty(len(starts), "i8")
    numpy.subtract(starts[1:], starts[:-1], out=counts[:-1])
    counts[-1] = len(ordered) - starts[-1]
    return ordered[starts], counts


def _deviation(values: Any, mean: Any) -> Any:
    """The standard deviation, a block that stays in the cache at a time."""
    import numpy

    total = numpy.float64(0)
    for start in range(0, len(values), _HEAD):
        away = values[start : start + _HEAD].astype("f8") - mean
        away *= away
        total += away.sum()
    return numpy.sqrt(total / len(values))


def _texts(stream: Text, missing: Any, *, plain: bool) -> dict[str, Any]:
    import numpy

    count = 0 if missing is None else int(missing.sum())
    found: dict[str, Any] = {"missing": count}
    here = len(stream) - count
    if not here:
        return found | {"distinct": {"count": 0, "exact": True}}
    if isinstance(stream, Coded):
        return found | _coded(stream, missing if count else None, plain=plain)
    few = _counted_texts(stream, missing if count else None)
    if few is None:
        hashes = _text_hashes(stream)
        hashes = hashes[~missing] if count else hashes
        found["distinct"] = _distinct(len(hashes), lambda a, b: hashes[a:b])
    else:
        found["distinct"] = {"count": len(few[0]), "exact": True}
    if not plain:
        return found
    sizes = stream.offsets[1:] - stream.offsets[:-1]
    sizes = sizes[~missing] if count else sizes
    found["lengths"] = {
        "unit": "bytes",
        "min": int(sizes.min()),
        "max": int(sizes.max()),
        "mean": round(float(sizes.mean()), 3),
    }
    if few is None:
        rows = numpy.arange(0, here, max(1, -(-here // _SAMPLE)))
        rows = numpy.flatnonzero(~missing)[rows] if count else rows
        few = _values_and_counts(binary_of(stream.take(rows)))
        found["top_of"] = len(rows)
    else:
        found["top_of"] = here
    words, counts = few
    best = numpy.argsort(-counts, kind="stable")[:_TOP]
    found["top"] = [[_shown(words[int(n)].as_py()), int(counts[n])] for n in best]
    return found


def _coded(stream: Coded, missing: Any, *, plain: bool) -> dict[str, Any]:
    """The same of all rows, of strings that were stored by a dictionary."""
    import numpy

    codes = stream.codes if missing is None else stream.codes[~missing]
    counts = numpy.bincount(codes, minlength=len(stream.words))
    here = numpy.flatnonzero(counts)
    counts = counts[here]
    found: dict[str, Any] = {"distinct": {"count": len(here), "exact": True}}
    if not plain:
        return found
    words = stream.words.take(here)
    sizes = words.offsets[1:] - words.offsets[:-1]
    found["lengths"] = {
        "unit": "bytes",
        "min": int(sizes.min()),
        "max": int(sizes.max()),
        "mean": round(float(sizes @ counts) / len(codes), 3),
    }
    found["top_of"] = len(codes)
    best = numpy.argsort(-counts, kind="stable")[:_TOP]
    found["top"] = [[_shown(words.slice(n, n + 1).data.tobytes()), int(counts[n])] for n in best]
    return found


def _counted(values: Any) -> Any:
    """``(distinct values, counts)`` of all rows; ``None`` where the head has many."""
    width = values.dtype.itemsize
    if width not in (1, 2, 4, 8):
        return None
    import numpy
    import pyarrow

    few = _counted_small(values)
    if few is not None:
        return few
    if values.dtype.kind == "f":
        values = values + values.dtype.type(0)  # -0.0 is 0.0.
    words = pyarrow.array(numpy.ascontiguousarray(values).view(f"u{width}"))
    if len(words.slice(0, _HEAD).unique()) > _LEAST:
        return None
    kinds, counts = _values_and_counts(words)
    if len(kinds) > _LEAST:
        return None
    return kinds.to_numpy().view(values.dtype), counts


def _counted_small(values: Any) -> Any:
    """The same for whole numbers in a small range, several times faster."""
    import numpy

    if values.dtype.kind not in "iuf":
        return None
    low, high = values.min(), values.max()
    if values.dtype.kind == "f":
        if not (abs(float(low)) < 2**31 and abs(float(high)) < 2**31):
            return None
        whole = values.astype("i8")
        if (whole[:1000] != values[:1000]).any() or (whole != values).any():
            return None
        values_dtype, values = values.dtype, whole
    else:
        values_dtype = values.dtype
    least = int(low)
    if int(high) - least >= _HEAD or least < -(2**62) or int(high) > 2**62:
        return None
    counts = numpy.bincount(values.astype("i8", copy=False) - least)
    here = numpy.flatnonzero(counts)
    return (here + least).astype(values_dtype), counts[here]


def _counted_texts(stream: Text, missing: Any) -> Any:
    """The same of strings; those that are missing do not count."""
    array = binary_of(stream)
    if missing is not None:
        import numpy
        import pyarrow

        valid = pyarrow.py_buffer(numpy.packbits(~missing, bitorder="little"))
        buffers = [valid, *array.buffers()[1:]]
        array = pyarrow.Array.from_buffers(array.type, len(array), buffers)
    if len(array.slice(0, _HEAD).unique()) > _LEAST:
        return None
    few = _values_and_counts(array)
    return few if len(few[0]) <= _LEAST else None


def _values_and_counts(array: Any) -> tuple[Any, Any]:
    counted = array.value_counts()
    kinds, counts = counted.field(0), counted.field(1)
    if kinds.null_count:
        here = kinds.is_valid()
        kinds, counts = kinds.filter(here), counts.filter(here)
    return kinds, counts.to_numpy()


def _distinct(count: int, hashes: Callable[[int, int], Any]) -> dict[str, Any]:
    """The number of distinct hashes: exact up to 2,048, else from the least of them.

    ``hashes(start, stop)`` makes those of some rows, of ``count``.
    """
    import numpy

    least = numpy.zeros(0, "u8")
    for start in range(0, count, _HEAD):
        part = hashes(start, min(start + _HEAD, count))
        if len(least) > _LEAST:
            part = part[part < least[-1]]
            if not len(part):
                continue
        whole = numpy.concatenate([least, part])
        if len(whole) > 8 * _LEAST:  # The least are found without sorting them all.
            least = _sorted(numpy.partition(whole, 2 * _LEAST)[: 2 * _LEAST])[: _LEAST + 1]
        if len(whole) <= 8 * _LEAST or len(least) <= _LEAST:
            least = _sorted(whole)[: _LEAST + 1]
    if len(least) <= _LEAST:
        return {"count": len(least), "exact": True}
    estimate = round((_LEAST - 1) / (float(least[_LEAST - 1]) / 2.0**64))
    return {"count": min(estimate, count), "exact": False}


def _sorted(hashes: Any) -> Any:
    """Distinct hashes in order."""
    import numpy

    hashes = numpy.sort(hashes)
    return hashes[numpy.append(True, hashes[1:] != hashes[:-1])]


def _hashes(values: Any) -> Any:
    """64-bit hashes of fixed-width values; -0.0 is 0.0."""
    import numpy

    if values.dtype.kind == "f":
        values = values + values.dtype.type(0)
    width = values.dtype.itemsize
    if width in (1, 2, 4, 8):
        words = numpy.ascontiguousarray(values).view(f"u{width}").astype("u8")
    else:
        raw = numpy.ascontiguousarray(values).view("u1").reshape(len(values), width)
        words = numpy.zeros(len(values), "u8")
        for place in range(width):
            words = words * numpy.uint64(0x100000001B3) + raw[:, place]
    return _mixed(words)


def _text_hashes(stream: Text) -> Any:
    """64-bit hashes of strings: a polynomial of their bytes, a block of rows at a time."""
    import numpy

    base = 0x9E3779B97F4A7C15
    inverse = pow(base, -1, 2**64)
    found = numpy.empty(len(stream), "u8")
    step = 65_536
    for start in range(0, len(stream), step):
        part = stream.slice(start, min(start + step, len(stream)))
        size = len(part.data)
        powers = _powers(base, size + 1)
        sums = numpy.zeros(size + 1, "u8")
        numpy.cumsum((part.data.astype("u8") + numpy.uint64(1)) * powers[:size], out=sums[1:])
        ends, starts = part.offsets[1:], part.offsets[:-1]
        # Shifted back to where each string would begin at the first byte.
        back = _powers(inverse, size + 1)[starts]
        found[start : start + len(part)] = (sums[ends] - sums[starts]) * back
    return _mixed(found)


_tables: dict[int, Any] = {}


def _powers(base: int, count: int) -> Any:

    known = _tables.get(base)
    if known is None or len(known) < count:
        if count > 4 * _BLOCK:
            return _cumprod(base, count)  # Very long strings: not worth keeping.
        known = _tables[base] = _cumprod(base, max(count, _BLOCK))
    return known[:count]


def _cumprod(base: int, count: int) -> Any:
    import numpy

    factors = numpy.full(count, base, "u8")
    factors[0] = 1
    return numpy.cumprod(factors, dtype="u8")


def _mixed(words: Any) -> Any:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit depends on every bit."""
    import numpy

    found = words + numpy.uint64(0x9E3779B97F4A7C15)
    for start in range(0, len(found), 32_768):  # A block that stays in the cache.
        part = found[start : start + 32_768]
        part ^= part >> numpy.uint64(30)
        part *= numpy.uint64(0xBF58476D1CE4E5B9)
        part ^= part >> numpy.uint64(27)
        part *= numpy.uint64(0x94D049BB133111EB)
        part ^= part >> numpy.uint64(31)
    return found


def _typed(stream: Fixed, meta: dict[str, Any]) -> Any:
    """The values as what they mean; ``None`` for what has no order."""
    import numpy

    values, kind = stream.values, meta.get("kind")
    if kind == "stamps":
        return values.view(meta["dtype"])
    if kind == "zoned":
        return values.view(f"M8[{meta['unit']}]")
    if kind == "period":
        return values
    if kind == "arrow":
        from .arrow_columns import read_schema

        if meta["form"] == "bits":
            return values.astype(bool)
        try:
            dtype = numpy.dtype(read_schema(meta["type"]).field(0).type.to_pandas_dtype())
        except (NotImplementedError, TypeError):
            return None
        return values.view(dtype) if dtype.itemsize == values.dtype.itemsize else None
    return values if values.dtype.kind in "biufcmM" and values.dtype.isnative else None


def _arrow_type(meta: dict[str, Any]) -> str:
    from .arrow_columns import read_schema

    return str(read_schema(meta["type"]).field(0).type)


def _only_text(letters: Any) -> bool:
    import numpy

    return bool(numpy.isin(letters.values, numpy.frombuffer(b"s0NZ", "u1")).all())


def _shown(data: bytes) -> str:
    return data[: 4 * _TEXT].decode("utf-8", "replace")[:_TEXT]


def _jsons(values: Any) -> list[Any]:
    """Each of some values as JSON."""
    import numpy

    if values.dtype.kind == "i" or (values.dtype.kind == "f" and numpy.isfinite(values).all()):
        return list(values.tolist())
    return [_json(value) for value in values]


def _json(value: Any) -> Any:
    """A scalar of NumPy's as JSON; dates and durations as text, what is infinite as text."""
    import numpy

    if isinstance(value, (numpy.datetime64, numpy.timedelta64)):
        return str(value)
    found = value.item()
    if isinstance(found, float) and not math.isfinite(found):
        return str(found)
    if isinstance(found, (complex, bytes)):
        return str(found)
    return found
