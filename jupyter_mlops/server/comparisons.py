"""Comparing versions of snapshots for those who page through what differs.

One comparison at a time, in a thread of its own: one of large frames takes seconds, and reading for
others goes on beside it.  The last ones are kept for a while, so that a page costs its rows alone.
"""

from __future__ import annotations

import asyncio
import shlex
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..project import Project
from ..snapshots.addresses import parse_columns, parse_spec
from ..snapshots.diff_stored import is_table
from ..snapshots.diffing import Diff
from ..snapshots.refs import Version
from ..snapshots.service import diff, existing_store
from ..snapshots.store import SnapshotStore
from .snapshot_views import diff_json

__all__ = ["Comparisons"]

_KEPT = 2
_FORGET_SECONDS = 180.0
_TABLE_LIMIT = 8 * 1000**3  # Bytes of both; their columns are read one at a time.
_VALUE_LIMIT = 1 * 1000**3  # Of what is read whole.

_Key = tuple[Path, str, str, str, str, tuple[str, ...]]


class Comparisons:
    """The differences that somebody looks at; ``close`` ends it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mlops-diff")
        self._kept: OrderedDict[_Key, Diff] = OrderedDict()  # touched by its thread alone
        self._timer: asyncio.TimerHandle | None = None

    async def page(
        self, project: Project, a: str, b: str, key: str | None, offset: int, limit: int
    ) -> dict[str, Any]:
        """What differs between two versions, with ``limit`` rows from ``offset``.

        Raises ``NotFoundError``; ``UsageError`` for a key that does not fit and for what is too
        large to be compared here; ``UntrustedError``, ``CorruptError``.
        """
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(_FORGET_SECONDS, self._forget)
        return await loop.run_in_executor(
            self._thread, self._page, project, a, b, key, offset, limit
        )

    def close(self) -> None:
        """Forget everything; what runs is left to its end."""
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _forget(self) -> None:
        self._thread.submit(self._kept.clear)

    def _page(
        self, project: Project, a: str, b: str, key: str | None, offset: int, limit: int
    ) -> dict[str, Any]:
        store = existing_store(project)
        first, second = (store.resolve(parse_spec(spec)) for spec in (a, b))
        columns = tuple(parse_columns(key) or ())
        wanted = (
            project.state, first.spec, first.manifest, second.spec, second.manifest, columns
        )  # fmt: skip
        found = self._kept.get(wanted)
        if found is None:
            _check_size(store, first, second)
            # Their own stored objects load for this user; those of others are refused.
            found = diff(project, first.spec, second.spec, key=columns)
            self._kept[wanted] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(wanted)
        return diff_json(found, first, second, offset, limit)


def _check_size(store: SnapshotStore, a: Version, b: Version) -> None:
    tables = all(is_table(store.manifest(version.manifest).object) for version in (a, b))
    limit = _TABLE_LIMIT if tables else _VALUE_LIMIT
    if a.digest != b.digest and a.size + b.size > limit:
        raise UsageError(
            f"{a.spec} and {b.spec} are too large to be compared by the Jupyter server: "
            f"{a.size + b.size:,} bytes, and the limit is {limit:,}",
            hint=f"In a notebook: %diff {shlex.join((a.spec, b.spec))}",
        )
