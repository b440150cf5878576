"""The digest of a value: what it is, in 64 hex digits that any machine agrees on."""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import Refused, Undigested
from .arrays import RAW
from .tree import BlakeTree, Node, Progress, XxhTree, walk
from .values import Shape, node_of, shape_of

__all__ = ["Digest", "digest", "estimate", "fingerprint"]

# Keyed XXH3 of memory, against the rate at which unknown bytes are hashed.
_SEEN_FACTOR = 1 / 3


@dataclass(frozen=True, slots=True)
class Digest:
    """A value's digest and what it is of.

    ``id`` is ``blake3:`` and 64 hex digits; ``kind`` one of ``frame``, ``series``, ``array``,
    ``sparse``, ``table``, ``object``; ``size`` the bytes of the canonical form; ``schema`` maps
    columns to types (an array's only key is empty).
    """

    id: str
    kind: str
    rows: int | None
    columns: int | None
    size: int
    schema: dict[str, str] = field(default_factory=dict)


def digest(
    value: Any,
    *,
    budget: float | None = None,
    pause: Callable[[], None] | None = None,
    again: bool = True,
) -> Digest:
    """Return the digest of a frame, series, array, sparse matrix, table or plain value.

    Lists and dictionaries of these have one, too.  ``budget`` is in seconds: the cost is estimated
    before anything is read, and the clock is looked at after each leaf of 65,536 rows.  ``pause``
    is called between leaves.  What this process has hashed before costs a look at the memory;
    unless ``again``, what it has not is not kept for that, which saves a fifth.

    Raises ``Refused`` for a value that holds something without a canonical form and ``Undigested``
    when it would take, or took, longer than ``budget``.
    """
    again = again or _is_seen(value)
    root, size = _walk(value, _tree if again else BlakeTree(0), budget, pause)
    if again:
        _remember(value)
    shape: Shape = shape_of(value)
    return Digest(f"blake3:{root.hex()}", shape.kind, shape.rows, shape.columns, size, shape.schema)


def fingerprint(
    value: Any, *, budget: float | None = None, pause: Callable[[], None] | None = None
) -> bytes:
    """Return 16 bytes that change with the value, within this process; as ``digest``, but faster.

    Raises as ``digest`` does.
    """
    return _walk(value, XxhTree(), budget, pause, factor=_SEEN_FACTOR)[0]


def estimate(value: Any) -> float:
    """Seconds that ``digest`` takes, about, on a machine of 2020; infinite for what is refused."""
    try:
        return _cost(value, _node(value))
    except Undigested:
        return float("inf")


def _walk(
    value: Any,
    tree: BlakeTree | XxhTree,
    budget: float | None,
    pause: Callable[[], None] | None,
    factor: float = 1.0,
) -> tuple[bytes, int]:
    started = time.perf_counter()
    node = _node(value)
    if budget is not None:
        cost = _cost(value, node) if factor == 1.0 else node.total_cost() * factor
        if cost > budget:
            raise Undigested(
                f"it would take about {_duration(cost)}, longer than the {_duration(budget)} left",
                cost=cost,
                size=node.total_size(),
            )
    progress = Progress(None if budget is None else started + budget, pause)
    try:
        return walk(node, tree, progress), progress.size
    except Undigested:
        raise
    except Exception as error:  # A library's object that is not what it looked like.
        raise Refused(f"it cannot be read: {type(error).__name__}: {error}") from error


def _node(value: Any) -> Node:
    try:
        return node_of(value)
    except Undigested:
        raise
    except Exception as error:
        raise Refused(f"it cannot be read: {type(error).__name__}: {error}") from error


def _cost(value: Any, node: Node) -> float:
    """The estimate; of a value that this process has digested before, what looking again costs."""
    cost = node.total_cost()
    if _is_seen(value):
        return cost - node.total_size() / RAW * (1 - _SEEN_FACTOR)
    return cost


def _is_seen(value: Any) -> bool:
    known = _seen.get(id(value))
    return known is not None and known() is value


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1e3:.0f} ms"


_tree = BlakeTree()
_seen: dict[int, weakref.ref[Any]] = {}


def _remember(value: Any) -> None:
    key = id(value)
    with contextlib.suppress(TypeError):  # A list: nothing can refer to it weakly.
        _seen[key] = weakref.ref(value, lambda ref: _forget(key, ref))


def _forget(key: int, ref: weakref.ref[Any]) -> None:
    if _seen.get(key) is ref:
        del _seen[key]


with contextlib.suppress(AttributeError):  # A forked child must not wait for a thread it has not.
    os.register_at_fork(after_in_child=_tree.unlock)
