"""Row numbers of a lineage as they are stored, and back.

Rising numbers, as a filter leaves them, are stored by their differences.  Rows that were sorted by
one of their columns follow from its values: they are stored as the name of the column and, where
equal values do not stand in the order that they had, the place of each row among its equals.
Anything else is stored as it is.
"""

from __future__ import annotations

from typing import Any

from ..errors import CorruptError
from .chunking import Reader, Writer, chunks_of
from .cuts import even_cuts
from .streams import Column, Fixed

__all__ = ["narrow", "order_of", "read_numbers", "sorted_by", "store_numbers"]

Node = dict[str, Any]
_HEAD = 1024
_BLOCK = 1 << 16  # Rows.
_MOST_COLUMNS = 50
_OF_A_FRAME = ("name", "taken", "whole")


def store_numbers(
    numbers: Any, length: int, source: Any, old: Node, reader: Reader, writer: Writer
) -> Node:
    """Store row numbers of a base of ``length`` rows; return the lineage's node.

    ``source`` is the frame that has these rows, ``old`` the tree of the version before.
    """

    if bool((numbers[1:] > numbers[:-1]).all()):
        return {"length": length, "numbers": _column(writer, _steps(numbers), steps=True)}
    for node, descending in sorted_by(source, old):
        found = _by(numbers, length, node, descending, reader, writer)
        if found is not None:
            return {"length": length, **found}
    return {"length": length, "numbers": _column(writer, numbers)}


def read_numbers(lineage: Node, reader: Reader) -> Any:
    """The row numbers of a lineage, 64 bits each.  Raises ``CorruptError``."""
    import numpy

    if reader.numbers is not None and reader.numbers[0] is lineage:  # For each column the same.
        return reader.numbers[1]
    length = lineage["length"]
    stored = lineage.get("numbers")
    numbers = numpy.arange(length) if stored is None else _read(stored, reader)
    if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < length:
        raise CorruptError("row numbers lie outside of the rows that they are of")
    by = lineage.get("by")
    if by is not None:
        order, starts = _order(_values(by["values"], reader)[numbers], bool(by["descending"]))
        if "turns" in by:
            turns = _read(by["turns"], reader)
            if len(turns) != len(order):
                raise CorruptError("the places of sorted rows are not as many as the rows")
            turns += starts
            if len(turns) and not 0 <= int(turns.min()) <= int(turns.max()) < len(order):
                raise CorruptError("the places of sorted rows lie outside of the rows")
            order = order[turns]
        numbers = numbers[order]
    reader.numbers = (lineage, numbers)
    return numbers


def _by(
    numbers: Any, length: int, node: Node, descending: bool, reader: Reader, writer: Writer
) -> Node | None:
    """What is to be stored of numbers that follow from the values of a column."""
    import numpy

    values = _values(node, reader)
    if len(values) != length or not writer.here(chunks_of(node)):
        return None
    found: Node = {}
    if len(numbers) == length:
        chosen = None
        places = numbers
    else:  # Those rows in the order that they had, and the place of each among them.
        kept = numpy.zeros(length, bool)
        kept[numbers] = True
        chosen = numpy.flatnonzero(kept)
        if len(chosen) != len(numbers):
            return None  # A row that comes twice.
        places = numpy.cumsum(kept)[numbers] - 1
        values = values[chosen]
        found["numbers"] = chosen
    order, starts = _order(values, descending)
    del values
    by: Node = {
        "name": node["name"],
        "descending": descending,
        "values": {k: v for k, v in node.items() if k not in _OF_A_FRAME} | {"taken": True},
    }
    if not numpy.array_equal(order, places):
        turns = numpy.empty(len(order), order.dtype)
        for low in range(0, len(order), _BLOCK):
            part = order[low : low + _BLOCK]
            turns[part] = numpy.arange(low, low + len(part))
        order = numpy.empty(len(turns), turns.dtype)
        for low in range(0, len(turns), _BLOCK):
            part = turns[places[low : low + _BLOCK]]
            if not numpy.array_equal(starts[part], starts[low : low + _BLOCK]):
                return None  # Not in the order of these values, after all.
            order[low : low + _BLOCK] = part - starts[low : low + _BLOCK]
        by["turns"] = _column(writer, order)
    if chosen is not None:
        found["numbers"] = _column(writer, _steps(chosen), steps=True)
    return found | {"by": by}


def sorted_by(source: Any, old: Node) -> list[tuple[Node, bool]]:
    """The columns of the base that are in order now, and whether they fall: the finest first."""
    import numpy

    names = [node["name"] for node in old["columns"]]
    found: list[tuple[int, Node, bool]] = []
    for position, name in enumerate(source.names[:_MOST_COLUMNS]):
        if names.count(name) != 1 or source.names.count(name) != 1:
            continue
        node = old["columns"][names.index(name)]
        stream = node["streams"].get("values")
        if stream is None or stream["store"] != "fixed" or len(node["streams"]) != 1:
            continue
        if "lineage" in old and not node.get("taken"):
            continue
        values = source.words(position)
        if values is None or numpy.dtype(stream["type"]).kind not in "iuf":
            continue
        values = values.view(stream["type"])
        for descending in (False, True):
            if all(_in_order(values[:count], descending) for count in (_HEAD, len(values))):
                distinct = int((values[1:] != values[:-1]).sum())
                found += [(distinct, node, descending)] if distinct else []
                break
    return [(node, down) for _, node, down in sorted(found, key=lambda each: -each[0])]


def order_of(node: Node, descending: bool, reader: Reader) -> Any:
    """The row numbers that a stable sort by a column gives."""
    return _order(_values(node, reader), descending)[0]


def _in_order(values: Any, descending: bool) -> bool:
    a, b = (values[1:], values[:-1]) if descending else (values[:-1], values[1:])
    after = a <= b
    if values.dtype.kind == "f":  # What is missing stands at the end.
        after |= values[1:] != values[1:]
    return bool(after.all())


def _order(values: Any, descending: bool) -> tuple[Any, Any]:
    """Rows in a stable order of their values, NaNs last, and where the equals of each begin."""
    import numpy

    keys = _keys(values, descending)
    order = numpy.argsort(keys, kind="stable").astype(narrow(len(keys)))
    new = numpy.empty(len(order), bool)
    new[:1] = True
    for low in range(0, len(order) - 1, _BLOCK):
        ranked = keys[order[low : low + _BLOCK + 1]]
        differs = ranked[1:] != ranked[:-1]
        if keys.dtype.kind == "f":
            differs &= ranked[:-1] == ranked[:-1]  # All NaNs are equals.
        new[low + 1 : low + 1 + len(differs)] = differs
    firsts = numpy.flatnonzero(new).astype(order.dtype)
    return order, numpy.repeat(firsts, numpy.diff(firsts, append=len(order)))


def _keys(values: Any, descending: bool) -> Any:
    if not descending:
        return values
    return -values if values.dtype.kind == "f" else ~values


def _values(node: Node, reader: Reader) -> Any:
    import numpy

    values = reader.fixed(node, "values").values
    if values.dtype.kind not in "iuf" or not numpy.dtype(values.dtype).isnative:
        raise CorruptError("rows cannot be in the order of what are no numbers")
    return values


def narrow(length: int) -> str:
    """The least type that row numbers of so many rows have, and one less than none."""
    return "i4" if length < 2**31 else "i8"


def _steps(numbers: Any) -> Any:
    """How much each number is more than the one before."""
    import numpy

    steps = numpy.empty(len(numbers), numbers.dtype)
    steps[:1] = numbers[:1] + 1
    numpy.subtract(numbers[1:], numbers[:-1], out=steps[1:])
    return steps


def _column(writer: Writer, numbers: Any, *, steps: bool = False) -> Node:
    most = int(numbers.max(initial=0))
    width = next(w for w in (1, 2, 4, 8) if most < 2 ** (8 * w))
    stored = Fixed(numbers.astype(f"<u{width}"))
    column = Column({"kind": "numbers", "steps": steps}, len(numbers), {"values": stored})
    # Places are as good as random: a cut by their content would be found by nobody again.
    return writer.column(column, None if steps else even_cuts(len(numbers)))


def _read(node: Node, reader: Reader) -> Any:
    import numpy

    stream = reader.fixed(node, "values")
    numbers = stream.values.astype("i8")
    return numpy.cumsum(numbers) - 1 if node["steps"] else numbers
