"""Values to manifests' trees and back, exactly; what cannot come back exactly is refused.

A tree is plain JSON that says what it is: ``{"kind": "frame", "library": "pandas", "columns":
[{"name", "kind", "dtype", "length", "rows", "streams"}], "index": ...}``; the columns hold the ids
of the chunks (``chunking.py``).  ``docs/file-formats.md`` is the definition.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from blake3 import blake3

from ..errors import CorruptError, MlopsError, NotFoundError, Refused, UsageError
from .cells import cells_column, cells_of
from .chunking import Read, Reader, Writer, chunks_of
from .chunks import blake3_of, chunk_id
from .digest import digest
from .lineage import chosen
from .numpy_columns import array_column, array_of, sparse_columns, sparse_of
from .pandas_columns import index_column, index_of, label_text
from .plain import type_name
from .statistics import Statistics
from .stored_files import StoredFiles, encode_path, files_digest
from .tables import (
    ArrowSource,
    PandasSource,
    PolarsSource,
    encode_columns,
    table_of,
)
from .tree import _encode as _json
from .values import _all_plain, kind_of

__all__ = ["chunks_of", "decode", "digest_of", "encode"]

_DEPTH = 8
Node = dict[str, Any]


def encode(
    value: Any, tx: Any, parent: Any = None, store: Any = None, *, statistics: bool = True
) -> tuple[Node, Node]:
    """Put a value into a transaction; return ``(tree, statistics)``, both plain JSON.

    ``parent`` is the manifest of the version before, if there is one: its cuts are reused, and its
    statistics where a column is the same.  ``store`` reads its chunks.  A ``Path`` is a file or a
    folder; a ``str`` is itself.  Without ``statistics`` these are empty (``describing.py``).

    Raises ``Refused`` (with ``column``) for what would not come back exactly.
    """
    old = dict(parent.object) if parent is not None else None
    read: Read | None = store.read if store is not None else None
    known_by = getattr(tx, "memory_key", None)  # Not so where nothing is kept.
    if old is not None and known_by is not None and _alike(value, old):
        key = known_by(value)
        if key is not None and (parent.stats or not statistics) and tx.reuse(parent, key):
            return parent.object, dict(parent.stats) if statistics else {}
    known = dict(getattr(parent, "stats", None) or {})
    if old is not None:
        tx.expect(chunks_of(old))
    encoder = _Encoder(Writer(tx, read), read, Statistics(known, wanted=statistics))
    tree = encoder.tree(value, old)
    if known_by is not None:
        # Of what it is now: if it was changed meanwhile, so was what the digest will be of.
        tx.remember(known_by(value))
    return tree, encoder.statistics.result(tree)


def decode(
    tree: Node,
    read: Read,
    *,
    columns: Sequence[Any] | None = None,
    rows: slice | range | None = None,
    trust: bool = False,
) -> Any:
    """Return the value of a tree; with ``columns`` or ``rows`` the part that was asked for.

    Only the chunks that the part needs are read.  A file or a folder comes as ``StoredFiles``, with
    ``restore(folder)``.  Raises ``NotFoundError`` for an unknown column, ``UsageError`` for rows of
    what has none, ``UntrustedError`` for
    pickled objects of somebody else's (see ``trust``), ``CorruptError`` for a tree that does not
    fit its chunks.
    """
    if tree.get("format") != 1:
        raise CorruptError(f"format {tree.get('format')!r} of a snapshot is not known")
    try:
        return _Decoder(Reader(read, trust), read).value(tree, columns, rows, 0)
    except MlopsError:
        raise
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise CorruptError(
            f"the manifest does not fit its chunks: {type(error).__name__}: {error}"
        ) from error


def digest_of(value: Any, tree: Node) -> str:
    """The digest that a version of ``value`` is known by.

    That of ``snapshots.digest`` (of a file: of its bytes); where it has none, as with pickled
    objects, ``blake3:`` of the tree that it has as a first version, without signatures.
    """
    if tree["kind"] in ("file", "folder"):
        return files_digest(tree)
    try:
        return digest(value, again=False).id
    except Refused:
        first = _Encoder(Writer(_Nowhere()), None, Statistics(wanted=False)).tree(value, None)
        return f"blake3:{blake3(_json(_unsigned(first)).encode()).hexdigest()}"


class _Nowhere:
    """A transaction that keeps nothing: chunks have their ids."""

    def add(self, raw: Any, *, itemsize: int = 1, hint: str = "") -> str:
        """The id of these bytes."""
        return chunk_id(raw)

    def find(self, raw: Any) -> None:
        """Nothing is here."""
        return

    def whole(self, *parts: Any) -> str:
        """BLAKE3 of the parts one after the other."""
        return blake3_of(parts)


class _Encoder:
    def __init__(self, writer: Writer, read: Read | None, statistics: Statistics) -> None:
        self.writer = writer
        self.read = read
        self.statistics = statistics

    def tree(self, value: Any, old: Node | None) -> Node:
        try:
            return {"format": 1, **self.value(value, old, 0)}
        except MlopsError:
            raise
        except RecursionError:
            raise Refused("it is nested too deep") from None
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Refused(f"it cannot be read: {type(error).__name__}: {error}") from error

    def value(self, value: Any, old: Node | None, depth: int) -> Node:
        if depth > _DEPTH:
            raise Refused(f"it is nested more than {_DEPTH} deep")
        if isinstance(value, Path):
            return encode_path(value, self.writer, old)
        kind = kind_of(value)
        if kind is not None:
            return self._data(value, kind, old)
        if type(value) in (list, tuple):
            return self._sequence(list(value), type(value).__name__, old, depth)
        if type(value) is dict:
            keys = self._cells(list(value), "keys", (old or {}).get("keys"))
            before = (old or {}).get("values")
            return {
                "kind": "dict",
                "keys": keys,
                "values": self._sequence(list(value.values()), "list", before, depth),
            }
        if type(value) in (set, frozenset):
            from .plain import encode as canonical

            items = sorted(value, key=canonical)
            return self._sequence(items, type(value).__name__, old, depth)
        _refuse_foreign(value)
        return {"kind": "plain", "columns": [self._cells([value], "value", None)]}

    def _sequence(self, items: list[Any], kind: str, old: Node | None, depth: int) -> Node:
        old = old if old and old.get("kind") == kind else None
        if _all_plain(items):
            before = old["columns"][0] if old and old["of"] == "plain" else None
            return {"kind": kind, "of": "plain", "columns": [self._cells(items, "items", before)]}
        before = old["items"] if old and old["of"] == "values" else []
        olds = [*before, *[None] * len(items)]
        found = [self.value(v, o, depth + 1) for v, o in zip(items, olds, strict=False)]
        return {"kind": kind, "of": "values", "items": found}

    def _cells(self, items: list[Any], name: str, old: Node | None) -> Node:
        column = cells_column(items, {"kind": "objects"}, name)
        return {"name": name, **self.writer.column(column, old=old)}

    def _data(self, value: Any, kind: str, old: Node | None) -> Node:
        library = next(
            m
            for base in type(value).__mro__
            if (m := base.__module__.partition(".")[0])
            in ("pandas", "numpy", "pyarrow", "polars", "scipy")
        )
        _refuse_subclass(value, library)
        old = old if old and old.get("library") == library else None
        maker: Callable[[Any, str, Node | None], Node] = getattr(self, f"_{library}")
        return maker(value, kind, old)

    def _pandas(self, value: Any, kind: str, old: Node | None) -> Node:
        pandas: Any = sys.modules["pandas"]
        node: Node = {"kind": kind, "library": "pandas"}
        if isinstance(value, pandas.Index):
            before = old["columns"][0] if old and old["kind"] == "index" else None
            column = self.writer.column(index_column(value), old=before)
            return node | {"kind": "index", "length": len(value), "columns": [column]}
        old = old if old and old["kind"] == kind else None
        if value.attrs:
            try:
                node["attrs"] = self.value(dict(value.attrs), (old or {}).get("attrs"), 1)
            except Refused as error:
                raise Refused(f"attrs: {error.message}", column="attrs") from None
        if not value.flags.allows_duplicate_labels:
            node["unique_labels"] = True
        if kind == "series":
            node["label"] = label_text(value.name)
        else:
            labels = index_column(value.columns, "the columns' labels")
            node["labels"] = self.writer.column(labels, old=(old or {}).get("labels"))
        return node | encode_columns(
            PandasSource(value), self.writer, self.read, old, self.statistics
        )

    def _polars(self, value: Any, kind: str, old: Node | None) -> Node:
        node: Node = {"kind": kind, "library": "polars"}
        old = old if old and old["kind"] == kind else None
        source = PolarsSource(value)
        node["schema"] = source.schema
        return node | encode_columns(source, self.writer, self.read, old, self.statistics)

    def _pyarrow(self, value: Any, kind: str, old: Node | None) -> Node:
        source = ArrowSource(value)
        node: Node = {"kind": kind, "library": "pyarrow", "of": source.of, "schema": source.schema}
        old = old if old and old["kind"] == kind else None
        return node | encode_columns(source, self.writer, self.read, old, self.statistics)

    def _numpy(self, value: Any, kind: str, old: Node | None) -> Node:
        shape, column = array_column(value)
        before = old["columns"][0] if old and old["kind"] == "array" else None
        node = self.writer.column(column, old=before)
        self.statistics.add("", column, node)
        return {"kind": "array", "library": "numpy", **shape, "columns": [node]}

    def _scipy(self, value: Any, kind: str, old: Node | None) -> Node:
        header, columns = sparse_columns(value)
        before = old["parts"] if old else {}
        parts = {n: self.writer.column(c, old=before.get(n)) for n, c in columns.items()}
        return {"kind": "sparse", "library": "scipy", **header, "parts": parts}


class _Decoder:
    def __init__(self, reader: Reader, read: Read) -> None:
        self.reader = reader
        self.read = read

    def value(
        self, tree: Node, columns: Sequence[Any] | None, rows: slice | range | None, depth: int
    ) -> Any:
        if depth > _DEPTH + 1:
            raise CorruptError("a manifest is nested too deep")
        kind = tree["kind"]
        if kind in ("file", "folder"):
            return StoredFiles(tree, self.read)
        library = tree.get("library")
        if library in ("pandas", "polars", "pyarrow"):
            attrs = tree.get("attrs")
            extra = self.value(attrs, None, None, depth + 1) if attrs else None
            if kind == "index":
                length = int(tree["length"])
                low, high, step = chosen(length, rows)
                return index_of(self.reader.column(tree["columns"][0], low, high))[::step]
            return table_of(tree, self.reader, columns, rows, extra)
        if columns is not None:
            raise NotFoundError(f"there are no columns in a snapshot of kind {kind}")
        if library == "numpy":
            return self._array(tree, rows)
        if library == "scipy":
            found = {n: self.reader.column(c) for n, c in tree["parts"].items()}
            matrix = sparse_of(tree, found)
            return matrix if rows is None else matrix.tocsr()[_slice(rows)]
        if rows is not None and kind not in ("list", "tuple"):
            raise UsageError(f"there are no rows in a snapshot of kind {kind}")
        value = self._object(tree, depth)
        return value if rows is None else value[_slice(rows)]

    def _object(self, tree: Node, depth: int) -> Any:
        kind = tree["kind"]
        if kind == "plain":
            return self._cells(tree["columns"][0])[0]
        if kind == "dict":
            keys = self._cells(tree["keys"])
            values = self.value(tree["values"], None, None, depth)
            return dict(zip(keys, values, strict=True))
        maker = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}.get(kind)
        if maker is None:
            raise CorruptError(f"a snapshot of kind {kind!r} is not known")
        if tree["of"] == "plain":
            return maker(self._cells(tree["columns"][0]))
        return maker(self.value(item, None, None, depth + 1) for item in tree["items"])

    def _cells(self, node: Node) -> list[Any]:
        return cells_of(self.reader.column(node))

    def _array(self, tree: Node, rows: slice | range | None) -> Any:
        node = tree["columns"][0]
        shape = tree["shape"]
        if rows is None or not shape or tree["order"] == "F":
            array = array_of(tree, self.reader.column(node))
            return array if rows is None else array[_slice(rows)]
        low, high, step = chosen(int(shape[0]), rows)
        each = 1
        for size in shape[1:]:
            each *= int(size)
        part = self.reader.column(node, low * each, high * each)
        header = {"shape": [high - low, *shape[1:]], "order": "C"}
        return array_of(header, part)[::step]


def _alike(value: Any, old: Node) -> bool:
    """Whether a value has the shape of a stored frame: else it need not be looked at."""
    shape = getattr(value, "shape", None)
    return (
        old.get("kind") == "frame"
        and isinstance(shape, tuple)
        and shape == (old["length"], len(old["columns"]))
    )


def _slice(rows: slice | range) -> slice:
    return rows if isinstance(rows, slice) else slice(rows.start, rows.stop, rows.step)


def _refuse_subclass(value: Any, library: str) -> None:
    """Raise ``Refused`` for a type that derives from a library's: it may hold more."""
    numpy: Any = sys.modules.get("numpy")
    foreign = type(value).__module__.partition(".")[0] != library
    if foreign or (library == "numpy" and type(value) not in (numpy.ndarray, numpy.memmap)):
        raise Refused(
            f"{type_name(value)} may hold more than the type that it derives from",
            hint="Convert it to that type.",
        )
    if library == "polars" and type(value).__name__ == "LazyFrame":
        raise Refused("a LazyFrame is a plan, not data", hint="Collect it.")


def _refuse_foreign(value: Any) -> None:
    """Raise ``Refused`` for what is no plain value: a model or a class of somebody's own."""
    from .plain import encode as canonical

    canonical(value)


def _unsigned(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _unsigned(v) for k, v in node.items() if k != "signatures"}
    if isinstance(node, list):
        return [_unsigned(v) for v in node]
    return node
