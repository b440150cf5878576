"""What a tracked cell depends on: the data sets that it reads, and files, with their digests.

Digests have a budget for the whole cell.  What is over it is pinned where that costs nothing
(pandas 3 copies on write, Arrow and Polars do not change) and digested by one thread of low
priority; the rest is named with the reason why it has no digest.

An input is what the value was before the cell changed it.  Names that a cell rebinds or may change
are given to ``begin``: small values are digested there and then; of larger ones a keyed hash is
taken, where that is cheap, which tells afterwards whether they still are what they were.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..model.events import BEING_KEPT, InputRecord
from ..snapshots import (
    Digest,
    Shape,
    Undigested,
    digest,
    digest_file,
    digest_folder,
    fingerprint,
    kind_of,
    shape_of,
)
from .addresses import is_address
from .digesting import Later, Task
from .earlier_reads import Earlier
from .files import FileWatch, Opened
from .keeping import Keeper, Wanted
from .pinning import Copies, NotPinned, Pin, marked, pin

__all__ = ["Before", "InputCollector", "budget_of"]

SMALL = 1_000_000  # Bytes of a cell's data, and of its files, that always have a digest.
_ALWAYS = 0.05  # Seconds that even they may take: objects of Python's are slow to read.
_BEFORE = 0.002  # Seconds before a cell for what is larger.
_MOST = 200  # Inputs of one cell.
_COLUMNS = 500  # Columns named of one input.
_LOOK = 20  # Items of a list or dictionary looked at for data sets.


def budget_of(seconds: float) -> float:
    """Seconds that the digests of a cell may take that ran for ``seconds``: 10 to 50 ms, or 2%."""
    return min(0.05, max(0.01, 0.02 * seconds))


@dataclass(slots=True)
class Before:
    """What was taken of inputs before a cell: records, or marks by which a change is noticed."""

    started: int = field(default_factory=time.time_ns)
    records: dict[str, InputRecord] = field(default_factory=dict)
    pins: dict[str, Pin] = field(default_factory=dict)
    marks: dict[str, tuple[int, bytes | None, InputRecord]] = field(default_factory=dict)


@dataclass(slots=True)
class _Cell:
    """What belongs to one cell while its inputs are collected; ``copies`` where they are kept."""

    run_id: str
    namespace: Mapping[str, Any]
    copies: Copies | None
    private: Collection[str] = ()
    tasks: list[Task] = field(default_factory=list)
    pins: dict[int, Pin | NotPinned] = field(default_factory=dict)

    def hold(self, value: Any, copies: Copies | None) -> Pin:
        """The pin of a value, one for all its names.  Raises ``NotPinned``."""
        if id(value) not in self.pins:
            try:
                self.pins[id(value)] = pin(value, copies)
            except NotPinned as error:
                self.pins[id(value)] = error
        found = self.pins[id(value)]
        if isinstance(found, NotPinned):
            raise found
        return found


@dataclass(slots=True)
class _Purse:
    """What may still be spent: bytes that are free, and a moment after which nothing is."""

    deadline: float
    small: int = SMALL

    def take(self, size: int) -> float | None:
        """Seconds for something of ``size`` bytes."""
        if size <= self.small:
            self.small -= size
            return _ALWAYS
        return max(0.0, self.deadline - time.perf_counter())


class InputCollector:
    """Makes the ``InputRecord`` of what cells read.

    ``relative`` says how a path is written (``Project.relative``); ``later(run_id, record)`` is
    called from another thread with the inputs whose digest took longer, or that were kept, after
    ``settle``, and ``ended(run_id)`` when nothing of a run is left.  ``keeper`` keeps them.
    """

    def __init__(
        self,
        watch: FileWatch | None,
        relative: Callable[[str], str],
        later: Callable[[str, InputRecord], None],
        *,
        keeper: Keeper | None = None,
        ended: Callable[[str], None] | None = None,
    ) -> None:
        self._watch = watch
        self._relative = relative
        self._keeper = keeper
        self._later = Later(later, ended)

    def begin(self, names: Iterable[str], namespace: Mapping[str, Any]) -> Before:
        """Look at what the cell is about to rebind or may change; 2 ms, and what 1 MB costs."""
        before = Before()
        purse = _Purse(time.perf_counter() + _BEFORE)
        copies = self._copies()
        for name, value in self._data(names, namespace):
            shape = shape_of(value)
            size = _size(value, shape)
            base = self._record(name, value, shape)
            if size <= purse.small:
                purse.small -= size
                before.records[name] = self._digested(base, value, _ALWAYS)
                if copies is not None and before.records[name].digest is not None:
                    with contextlib.suppress(NotPinned):
                        before.pins[name] = pin(value, copies)
                continue
            mark = None
            try:
                left = purse.deadline - time.perf_counter()
                if left > 0:
                    mark = fingerprint(value, budget=left)
            except Undigested:
                pass
            before.marks[name] = (id(value), mark, base)
        return before

    def collect(
        self,
        run_id: str,
        names: Iterable[str],
        bound: Iterable[str],
        namespace: Mapping[str, Any],
        *,
        seconds: float,
        before: Before | None = None,
        files: Iterable[Opened] = (),
        budget: float | None = None,
        keep: bool = True,
        private: Collection[str] = (),
        earlier: Iterable[tuple[str, os.stat_result]] = (),
        needed: Container[str] = (),
    ) -> tuple[InputRecord, ...]:
        """The inputs of a cell that has ended: ``names`` that it read, and ``files``.

        ``bound`` are the names that it bound itself: their values are results, unless ``before``
        knows what they were.  ``seconds`` is how long the cell took, from which the budget comes.
        What takes longer waits for ``settle(run_id)``.  Without ``keep`` no data are kept, and
        never those of ``private`` names.  ``earlier`` are files that other cells read, with their
        state then and now; those that are ``needed`` are inputs, too, which is found out later.
        """
        names, bound = list(dict.fromkeys(names)), set(bound)
        budget = budget_of(seconds) if budget is None else budget
        purse = _Purse(time.perf_counter() + budget)
        before = Before(started=time.time_ns() - int(seconds * 1e9)) if before is None else before
        found: dict[str, InputRecord] = dict(before.records)
        cell = _Cell(run_id, namespace, self._copies() if keep else None, private)
        for name, held in before.pins.items():
            found[name] = self._held(found[name], held, cell)
        sized = []
        for name, value in self._data([n for n in names if n not in found], namespace):
            if name not in bound and name not in before.marks:
                shape = shape_of(value)
                sized.append((_size(value, shape), name, value, self._record(name, value, shape)))
        for name, (address, mark, base) in before.marks.items():
            value = namespace.get(name)
            if id(value) != address or name in bound:
                found[name] = _without(base, "the cell rebound it, and it was too large before")
            elif self._unchanged(value, mark, purse):
                sized.append((base.size, name, value, base))
            else:
                found[name] = _without(base, _CHANGED if mark is not None else _MAY_HAVE)
        # The smallest first: so most of them have a digest at once.
        known: dict[int, InputRecord] = {}
        for size, name, value, base in sorted(sized, key=lambda item: (item[0], item[1])):
            other = known.get(id(value))
            if other is not None:
                found[name] = self._other_name(other, base, value, cell)
                continue
            found[name] = known[id(value)] = self._used(base, value, purse.take(size), cell)
        order = (*names, *before.records, *before.marks)
        records = {name: found[name] for name in order if name in found}
        read = self._files(files, before, _Purse(purse.deadline), cell)
        keeper = self._keeper if cell.copies is not None else None
        for path, status in list(earlier)[:_MOST]:
            item = Earlier(self._relative(path), path, status, needed)
            cell.tasks.append(item.task(keeper, run_id))
        self._later.keep(run_id, cell.tasks)
        return (*records.values(), *read)

    def settle(self, run_id: str) -> None:
        """The run is recorded: digest what is left of its inputs, and tell ``later`` of each."""
        self._later.start(run_id)

    def wait(self, timeout: float) -> bool:
        """Whether nothing is being digested any more within ``timeout`` seconds."""
        return self._later.wait(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Finish what can be within ``timeout`` seconds; the rest keeps its reason."""
        self._later.close(timeout)

    def _data(
        self, names: Iterable[str], namespace: Mapping[str, Any]
    ) -> Iterable[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for name in names:
            if name[:1] != "_" and name in namespace and len(found) < _MOST:
                value = namespace[name]
                if _is_data(value):
                    found.append((name, value))
        return found

    def _record(self, name: str, value: Any, shape: Shape) -> InputRecord:
        return InputRecord(
            name,
            shape.kind,
            rows=shape.rows,
            columns=shape.columns,
            size=_size(value, shape),
            schema=dict(list(shape.schema.items())[:_COLUMNS]),
            source=self._source(value),
        )

    def _source(self, value: Any) -> str | None:
        try:
            return self._relative_source(value)
        except Exception:  # A folder that is gone, a path that is none here.
            return None

    def _relative_source(self, value: Any) -> str | None:
        source = self._watch.source_of(value) if self._watch is not None else None
        if source is None or is_address(source):
            return source
        path, more = source, ""
        if not os.path.exists(source) and " and " in source:
            path, _, more = source.rpartition(" and ")
        return self._relative(path) + (f" and {more}" if more else "")

    def _digested(self, base: InputRecord, value: Any, budget: float | None) -> InputRecord:
        try:
            return _with(base, digest(value, budget=budget))
        except Undigested as error:
            return _without(base, error.message)

    def _copies(self) -> Copies | None:
        keeper = self._keeper
        return keeper.copies() if keeper is not None and keeper.active else None

    def _used(
        self, base: InputRecord, value: Any, budget: float | None, cell: _Cell
    ) -> InputRecord:
        try:
            return self._to_keep(_with(base, digest(value, budget=budget)), value, cell)
        except Undigested as error:
            if error.reason == "refused":
                return _without(base, error.message)
            why = error.message
        try:
            return self._postponed(base, value, why, cell)
        except Exception as error:  # The person's object, which only now shows what it is.
            return _without(base, f"it cannot be kept: {type(error).__name__}: {error}")

    def _other_name(
        self, known: InputRecord, base: InputRecord, value: Any, cell: _Cell
    ) -> InputRecord:
        """The record of one more name for a value whose first name has one."""
        if known.digest is None:
            return self._used(base, value, 0.0, cell)
        found = replace(known, name=base.name, snapshot=None, added=0, reason=None)
        return self._to_keep(found, value, cell)

    def _to_keep(self, record: InputRecord, value: Any, cell: _Cell) -> InputRecord:
        """Have a variable kept whose digest is known."""
        keeper = self._keeper
        if keeper is None or cell.copies is None:
            return record
        if record.name in cell.private:
            return replace(record, reason=_PRIVATE)
        again = keeper.again(record)
        if again is not None:
            return again
        wanted: Wanted | str
        try:
            if record.size > keeper.limit:
                wanted = keeper.too_large(record)
            else:
                held = cell.hold(value, cell.copies)
                wanted = keeper.pinned(record, held, cell.run_id)
        except NotPinned as error:
            wanted = f"not kept: {error}"
        except Exception as error:  # The person's object again.
            wanted = f"not kept: it cannot be kept: {type(error).__name__}: {error}"
        return self._then(record, wanted, keeper, cell)

    def _held(self, record: InputRecord, held: Pin, cell: _Cell) -> InputRecord:
        """Have a variable kept as it was before the cell."""
        if self._keeper is None or cell.copies is None:
            return record
        if record.name in cell.private:
            return replace(record, reason=_PRIVATE)
        wanted = self._keeper.pinned(record, held, cell.run_id)
        return self._then(record, wanted, self._keeper, cell)

    def _then(
        self, record: InputRecord, wanted: Wanted | str, keeper: Keeper, cell: _Cell
    ) -> InputRecord:
        if isinstance(wanted, str):
            return replace(record, reason=wanted)
        again = keeper.again(record, wanted.of)
        if again is not None:
            keeper.release(wanted)
            return again
        cell.tasks.append(
            Task(
                record,
                lambda pause: keeper.keep(record, wanted, pause),
                lambda: keeper.release(wanted),
            )
        )
        return replace(record, reason=BEING_KEPT)

    def _postponed(self, base: InputRecord, value: Any, why: str, cell: _Cell) -> InputRecord:
        keeper, reason = (self._keeper if cell.copies is not None else None), None
        if keeper is not None:
            if base.name in cell.private:
                reason = _PRIVATE
            elif base.size > keeper.limit:
                reason = keeper.too_large(base)
            keeper = keeper if reason is None else None
        try:
            held = cell.hold(value, None if keeper is None else cell.copies)
            mark: bytes | None = None
            if held.shared and keeper is not None and cell.copies is not None:
                held, mark = marked(value, held, cell.copies, cell.namespace)
        except NotPinned as error:
            return _without(base, f"{why}, and {error}")
        pinned = held.value

        def work(pause: Callable[[], None]) -> InputRecord:
            first = fingerprint(pinned, pause=pause)
            if mark is not None and first != mark:
                raise Undigested("it changed before it was digested")
            made = _with(base, digest(pinned, pause=pause))
            if fingerprint(pinned, pause=pause) != first:
                raise Undigested("it changed while it was being digested")
            return made

        if keeper is None:
            cell.tasks.append(Task(base, lambda pause: replace(work(pause), reason=reason)))
            return _without(base, "it is being digested")
        wanted = keeper.pinned(base, held, cell.run_id)

        cell.tasks.append(
            Task(
                base,
                work,
                lambda: keeper.release(wanted),
                lambda record, pause: keeper.keep(record, wanted, pause),
            )
        )
        return _without(base, "it is being digested")

    def _unchanged(self, value: Any, mark: bytes | None, purse: _Purse) -> bool:
        if kind_of(value) == "table":
            return True  # Arrow's tables do not change.
        if mark is None:
            return False
        try:
            return fingerprint(value, budget=max(0.01, 5 * _BEFORE)) == mark
        except Undigested:
            return False

    def _files(
        self, files: Iterable[Opened], before: Before, purse: _Purse, cell: _Cell
    ) -> list[InputRecord]:
        return [self._file(item, before.started, purse, cell) for item in list(files)[:_MOST]]

    def _file(self, item: Opened, started: int, purse: _Purse, cell: _Cell) -> InputRecord:
        if is_address(item.path):
            reason = "it is an address: its content is not read a second time"
            return InputRecord(item.path, "file", source=item.path, how=item.how, reason=reason)
        name = self._relative(item.path)
        base = InputRecord(name, "file", source=name, how=item.how)
        try:
            status = os.stat(item.path)
            take: Callable[..., Digest] = digest_file
            if os.path.isdir(item.path):
                base, take = replace(base, kind="folder"), digest_folder
            else:
                base = replace(base, size=status.st_size)
            if status.st_mtime_ns > started and base.kind == "file":
                return _without(base, "it changed while the cell ran")
            try:
                small = base.kind == "file"
                budget = purse.take(status.st_size if small else SMALL + 1)
                made = _with(base, take(item.path, budget=budget))
            except Undigested:
                made = base
            return self._file_kept(made, item.path, status, take, cell)
        except OSError as error:
            return _without(base, f"it cannot be read: {error.strerror or error}")

    def _file_kept(
        self,
        record: InputRecord,
        path: str,
        status: os.stat_result,
        take: Callable[..., Digest],
        cell: _Cell,
    ) -> InputRecord:
        """Have a file or folder kept, and digested if it is not yet."""
        keeper = self._keeper if cell.copies is not None else None
        wanted: Wanted | str = ""
        if keeper is not None:
            wanted = keeper.file(record, path, status, cell.run_id)
        if record.digest is not None:
            return record if keeper is None else self._then(record, wanted, keeper, cell)

        def work(pause: Callable[[], None]) -> InputRecord:
            made = _with(record, take(path, pause=pause))
            return replace(made, reason=wanted or None) if isinstance(wanted, str) else made

        then = None
        if keeper is not None and not isinstance(wanted, str):
            kept = wanted

            def then(record: InputRecord, pause: Callable[[], None]) -> InputRecord:
                return keeper.keep(record, kept, pause)

        cell.tasks.append(Task(record, work, then=then))
        return _without(record, "it is being digested")


_PRIVATE = "not kept: a private cell made it"
_CHANGED = "the cell changed it, and it was too large to be digested before"
_MAY_HAVE = "the cell may have changed it, and it was too large to be looked at before"


def _is_data(value: Any) -> bool:
    """Whether it is a data set, or a list, tuple or dictionary with one in it."""
    try:
        kind = kind_of(value)
        if kind is not None:
            return kind != "array" or value.ndim > 0
        if type(value) is dict:
            items = list(value.values())[:_LOOK]
        elif type(value) in (list, tuple):
            items = value[:_LOOK]
        else:
            return False
        return any(kind_of(item) is not None for item in items)
    except Exception:  # The person's objects, and another thread may be changing them.
        return False


def _size(value: Any, shape: Shape) -> int:
    if shape.kind != "object":
        # Python's strings and objects are not in what a library counts.
        objects = sum(kind == "object" for kind in shape.schema.values())
        return shape.size + objects * 40 * (shape.rows or 0)
    items = value.values() if type(value) is dict else value
    return sum(shape_of(item).size for item in list(items)[:1000])


def _with(base: InputRecord, found: Digest) -> InputRecord:
    rows = found.rows if base.rows is None and found.kind != "folder" else base.rows
    return replace(base, digest=found.id, size=found.size, rows=rows, reason=None)


def _without(base: InputRecord, reason: str) -> InputRecord:
    return replace(base, digest=None, reason=reason)
