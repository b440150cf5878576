"""What a run is told while it goes on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_mlops.capture.runlog import RunLog, close_log, current_log, open_log, opened
from jupyter_mlops.errors import UsageError
from jupyter_mlops.model.events import RunProgress


@pytest.fixture
def written() -> list[RunProgress]:
    return []


@pytest.fixture
def log(written: list[RunProgress]) -> RunLog:
    return RunLog("RUN", "SESSION", written.append, lambda data: f"blob-{len(data)}")


def test_a_series_has_steps_and_times_and_is_written_at_once(
    log: RunLog, written: list[RunProgress]
) -> None:
    log.log(loss=1.0)
    log.log({"loss": np.float32(0.5), "val/auc": 0.9})
    log.log(loss=0.25, step=10)
    log.log(loss=0.125)
    assert [point[:2] for point in log.series["loss"]] == [
        [0, 1.0],
        [1, 0.5],
        [10, 0.25],
        [11, 0.125],
    ]
    assert log.last() == {"loss": 0.125, "val/auc": 0.9}
    assert [len(record.points) for record in written] == [1, 2, 1, 1]
    assert written[1].points[1][:3] == ["val/auc", 0, 0.9]
    assert {record.run_id for record in written} == {"RUN"}
    times = [point[2] for point in log.series["loss"]]
    assert times == sorted(times)


@pytest.mark.parametrize("value", ["high", None, True, [1.0], object()])
def test_what_is_no_number_is_refused_and_nothing_of_the_call_is_logged(
    log: RunLog, written: list[RunProgress], value: Any
) -> None:
    with pytest.raises(UsageError, match="'bad' must be a number"):
        log.log(good=1.0, bad=value)
    assert log.series == {}
    assert written == []


def test_names_and_steps_are_checked(log: RunLog) -> None:
    with pytest.raises(UsageError, match="cannot be a name"):
        log.log({"": 1.0})
    with pytest.raises(UsageError, match="step must be an integer"):
        log.log(loss=1.0, step="first")  # type: ignore[arg-type]


def test_parameters_are_plain_and_secrets_are_not_written(
    log: RunLog, written: list[RunProgress]
) -> None:
    log.param(lr=np.float64(0.5), n=np.int64(3), layers=[1, 2], api_key="abcdef", note="x" * 7000)
    assert log.params["lr"] == 0.5
    assert (log.params["n"], type(log.params["n"])) == (3, int)
    assert log.params["layers"] == [1, 2]
    assert log.params["api_key"] == "***"
    assert len(log.params["note"]) == 6000
    assert written[0].params == log.params


def test_a_file_is_kept_beside_the_run(log: RunLog, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    log.artifact(tmp_path / "notes.txt")
    log.artifact(b"123", "data/raw.bin")
    assert [(f.name, f.blob, f.size) for f in log.files] == [
        ("notes.txt", "blob-5", 5),
        ("data/raw.bin", "blob-3", 3),
    ]
    with pytest.raises(UsageError, match="need a name"):
        log.artifact(b"123")
    with pytest.raises(FileNotFoundError):
        log.artifact(tmp_path / "missing")


def test_a_full_disk_is_remembered_once_and_breaks_nothing() -> None:
    def full(_: RunProgress) -> None:
        raise OSError(28, "No space left on device")

    log = RunLog("RUN", "SESSION", full)
    log.log(loss=1.0)
    log.log(loss=0.5)
    assert log.last() == {"loss": 0.5}
    assert log.problems == ["progress cannot be written: No space left on device"]


def test_the_innermost_run_is_meant_and_a_thread_finds_the_cells(log: RunLog) -> None:
    assert current_log() is None
    open_log(log)
    inner = RunLog("INNER", "SESSION")
    with opened(inner):
        assert current_log() is inner
    assert current_log() is log
    found: list[RunLog | None] = []
    thread = threading.Thread(target=lambda: found.append(current_log()))
    thread.start()
    thread.join()
    assert found == [log]
    close_log(log)
    close_log(log)
    assert current_log() is None
