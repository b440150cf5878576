"""CSV requests: text with a line of column names, read into the values that JSON would have had.

What counts as missing is what pandas takes for missing, as in MLflow's server.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from ..model.signature import Signature
from .payload import Rows, bad_input, too_many_rows
from .values import NUMERIC

__all__ = ["decode_csv"]

_MISSING = frozenset(
    {
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
    }
)  # fmt: skip
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def decode_csv(body: bytes, signature: Signature, limit: int) -> Rows:
    """Parse a CSV body; only the signature's columns are kept, where they have names.

    Raises the 400 for text that is no such table, the 413 for more than ``limit`` rows.
    """
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        names = next((row for row in reader if row), None)
        if names is None:
            raise bad_input("the body is empty; CSV begins with a line of column names")
        rows: list[list[str]] = []
        for row in reader:
            if len(row) != len(names):
                if not row:
                    continue  # a blank line
                raise bad_input(
                    f"line {reader.line_num} has {len(row)} values for {len(names)} columns"
                )
            if len(rows) == limit:
                raise too_many_rows(limit)
            rows.append(row)
    except UnicodeDecodeError:
        raise bad_input("the body is not UTF-8") from None
    except csv.Error as error:
        raise bad_input(f"the body is not CSV: {error}") from None
    kept, readers = _readers(names, signature)
    return Rows(
        [names[position] for position in kept],
        [[read(row[i]) for i, read in zip(kept, readers, strict=True)] for row in rows],
    )


def _readers(
    names: list[str], signature: Signature
) -> tuple[list[int], list[Callable[[str], Any]]]:
    """Which columns to read, and what makes values of their text."""
    if signature.names:
        kinds = {column.name: column.type for column in signature.columns}
        kept = [position for position, name in enumerate(names) if name in kinds]
        return kept, [_reader(kinds[names[position]]) for position in kept]
    positions = list(range(len(names)))
    if signature.columns:
        positions = positions[: len(signature.columns)]
        return positions, [_reader(c.type) for c in signature.columns[: len(positions)]]
    return positions, [_reader(signature.tensors[0].dtype)] * len(names)


def _reader(kind: str) -> Callable[[str], Any]:
    if kind in NUMERIC or kind.startswith(("int", "uint", "float")):
        return _number
    if kind in ("boolean", "bool"):
        return _boolean
    return _guess if kind == "any" else _text


def _number(text: str) -> Any:
    if "_" in text:
        return text  # 1_000 is a number to Python alone
    try:
        return int(text)
    except ValueError:
        pass
    if text.strip() in _MISSING:
        return None
    try:
        return float(text)
    except ValueError:
        return text  # and is refused by its column, with its row


def _boolean(text: str) -> Any:
    return None if text in _MISSING else _BOOLEANS.get(text.strip().lower(), text)


def _text(text: str) -> Any:
    return None if text in _MISSING else text


def _guess(text: str) -> Any:
    value = _number(text)
    return _boolean(value) if isinstance(value, str) else value
