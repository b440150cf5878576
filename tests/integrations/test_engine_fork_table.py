"""The rows of ``test_engine_table`` on the fork engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .forks import ForkBench, zygote_for_tests
from .test_engine_table import (
    test_a_cell_that_prints_for_ever,
    test_a_cell_that_takes_too_long,
    test_fifty_megabytes_of_output,
    test_input_is_asked_for,
    test_killed_between_cells,
    test_killed_in_a_cell,
    test_many_prints_and_displays,
    test_memory_runs_out_at_a_limit,
    test_tags_exits_and_async_cells,
    test_the_disk_is_full,
    test_the_kernel_leaves,
    test_what_was_started_ends_with_a_failed_run,
    test_widgets,
)

__all__ = [
    "test_a_cell_that_prints_for_ever",
    "test_a_cell_that_takes_too_long",
    "test_fifty_megabytes_of_output",
    "test_input_is_asked_for",
    "test_killed_between_cells",
    "test_killed_in_a_cell",
    "test_many_prints_and_displays",
    "test_memory_runs_out_at_a_limit",
    "test_tags_exits_and_async_cells",
    "test_the_disk_is_full",
    "test_the_kernel_leaves",
    "test_what_was_started_ends_with_a_failed_run",
    "test_widgets",
]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fork engine needs Linux")


@pytest.fixture(scope="module", autouse=True)
def _zygote() -> Iterator[None]:
    with zygote_for_tests():
        yield


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkBench]:
    """Where even widgets and questions are given to the fork engine: they hold there, too."""
    from jupyter_mlops.integrations import engine_starting

    monkeypatch.setattr(engine_starting, "obstacle", lambda notebook, folder: None)
    found = ForkBench(tmp_path)
    yield found
    assert set(found.starts) == {"fork"}, found.executed.metadata.mlops["kernel"]
