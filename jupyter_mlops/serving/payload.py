"""Request bodies of MLflow's scoring protocol, parsed into rows or an array.

The formats are MLflow's (https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/):
``dataframe_split``, ``dataframe_records``, ``instances`` and ``inputs`` in JSON; CSV has its own
module.  Nothing here knows a model: what the values must be is the subject of ``enforce``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError

__all__ = [
    "Nested",
    "Payload",
    "Rows",
    "bad_input",
    "content_type",
    "decode_json",
    "show",
    "too_many_rows",
]

_FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")


@dataclass(frozen=True, slots=True)
class Rows:
    """A table: ``rows`` under ``names``, or without names where the request gave none."""

    names: list[Any] | None
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Nested:
    """An array as nested lists, or one scalar."""

    data: Any


Payload = Rows | Nested
# The model's columns, where they have names, and whether each is required.
Wanted = Mapping[str, bool] | None


def bad_input(message: str, *, status: int = 400, code: str = "BAD_REQUEST") -> UsageError:
    """The error of a request: HTTP ``status`` and MLflow's ``error_code`` are in its fields."""
    return UsageError(message, status=status, error_code=code)


def too_many_rows(limit: int) -> UsageError:
    """The 413 for more rows than a request may have."""
    return bad_input(
        f"more rows than one request may have; the limit is {limit}",
        status=413,
        code="REQUEST_LIMIT_EXCEEDED",
    )


def content_type(header: str | None) -> str:
    """Return ``json`` or ``csv``; raise the 415 that MLflow's server gives for anything else."""
    kind, *parameters = [part.strip() for part in (header or "").split(";")]
    kind = kind.lower()
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() != "charset" or value.strip().strip('"').lower() != "utf-8":
            raise bad_input(f"content type parameter {show(parameter)}: send UTF-8", status=415)
    if kind == "application/json":
        return "json"
    if kind == "text/csv":
        return "csv"
    raise bad_input(
        f"content type {show(header or '')}: send application/json or text/csv", status=415
    )


def decode_json(body: bytes, wanted: Wanted, limit: int) -> Payload:
    """Parse a JSON body; records are read in the order of ``wanted``, more than ``limit`` rows 413.

    Raises what ``bad_input`` makes for a body that is not such a request.
    """
    try:
        data = json.loads(body)
    except RecursionError:
        raise bad_input("the JSON is nested too deeply") from None
    except ValueError as error:  # also UnicodeDecodeError, and integers of thousands of digits
        raise bad_input(f"the body is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise bad_input(f"the body is {show(data)}, not an object with one of {_any_of(_FORMATS)}")
    found = [name for name in _FORMATS if name in data]
    if len(found) != 1:
        given = _any_of(found, "and") if found else "none of them"
        raise bad_input(f"the body must hold exactly one of {_any_of(_FORMATS)}; it holds {given}")
    return _READERS[found[0]](data[found[0]], wanted, limit)


def show(value: Any) -> str:
    """``value`` in a message: short, on one line, and never a whole nested structure."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _split(data: Any, wanted: Wanted, limit: int) -> Payload:
    if not isinstance(data, dict) or "data" not in data:
        raise bad_input("dataframe_split must be an object with 'data' and 'columns'")
    unknown = [key for key in data if key not in ("columns", "data", "index")]
    if unknown:
        raise bad_input(f"dataframe_split has an unknown key {show(unknown[0])}")
    names, rows = data.get("columns"), data["data"]
    if names is not None and not isinstance(names, list):
        raise bad_input("dataframe_split: 'columns' must be an array of names")
    if not isinstance(rows, list):
        raise bad_input("dataframe_split: 'data' must be an array of rows")
    _check_count(rows, limit)
    if rows and names is not None and len(names) == 1 and not isinstance(rows[0], list):
        rows = [[value] for value in rows]  # pandas takes a flat list for a single column
    _check_rows(names, rows)
    return Rows(names, rows)


def _records(data: Any, wanted: Wanted, limit: int, what: str = "dataframe_records") -> Payload:
    if not isinstance(data, list):
        raise bad_input(f"{what} must be an array of records")
    _check_count(data, limit)
    if set(map(type, data)) - {dict}:
        number = next(n for n, record in enumerate(data) if not isinstance(record, dict))
        raise bad_input(f"{what}: record {number} is {show(data[number])}, not an object")
    names = list(wanted or (data[0] if data else ()))
    try:
        return Rows(names, [[record[name] for name in names] for record in data])
    except KeyError:
        pass  # Something is missing: an optional column, a column of all records, or one value.
    present = {name for record in data for name in record}
    names = [name for name in names if name in present]
    for number, record in enumerate(data):
        for name in names:
            if name not in record and (wanted is None or wanted[name]):
                raise bad_input(f"{what}: record {number} has no {show(name)}")
    return Rows(names, [[record.get(name) for name in names] for record in data])


def _instances(data: Any, wanted: Wanted, limit: int) -> Payload:
    if isinstance(data, list) and data and isinstance(data[0], dict):
        return _records(data, wanted, limit, "instances")
    return _inputs(data, wanted, limit, "instances")


def _inputs(data: Any, wanted: Wanted, limit: int, what: str = "inputs") -> Payload:
    if isinstance(data, list):
        _check_count(data, limit)
        if data and isinstance(data[0], dict):
            return _records(data, wanted, limit, what)
        return Nested(data)
    if not isinstance(data, dict):
        return Nested(data)
    if not data:
        raise bad_input(f"{what} is empty")
    columns = {name: data[name] for name in (wanted or data) if name in data}
    lists = {name: value for name, value in columns.items() if isinstance(value, list)}
    if not lists:
        return Rows(list(columns), [list(columns.values())])
    if len(lists) != len(columns):
        scalar = next(name for name in columns if name not in lists)
        raise bad_input(f"{what}: {show(scalar)} is one value while other columns are arrays")
    lengths = {name: len(value) for name, value in lists.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{show(name)}: {length}" for name, length in list(lengths.items())[:5])
        raise bad_input(f"{what}: the columns have different lengths ({told})")
    _check_count(next(iter(lists.values())), limit)
    return Rows(list(lists), list(zip(*lists.values(), strict=True)))


def _check_rows(names: list[Any] | None, rows: list[Any]) -> None:
    if not rows:
        return
    if set(map(type, rows)) != {list}:
        number = next(n for n, row in enumerate(rows) if not isinstance(row, list))
        raise bad_input(f"dataframe_split: row {number} is {show(rows[number])}, not an array")
    width = len(rows[0]) if names is None else len(names)
    if set(map(len, rows)) != {width}:
        number = next(n for n, row in enumerate(rows) if len(row) != width)
        raise bad_input(
            f"dataframe_split: row {number} has {len(rows[number])} values for {width} columns"
        )


def _check_count(rows: Sequence[Any], limit: int) -> None:
    if len(rows) > limit:
        raise too_many_rows(limit)


def _any_of(names: Sequence[str], word: str = "or") -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {word} {quoted[-1]}"


_READERS: dict[str, Callable[[Any, Wanted, int], Payload]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _instances,
    "inputs": _inputs,
}
