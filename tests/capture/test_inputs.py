"""Inputs of tracked cells: what has a digest at once, later, or none, and why."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse as sp

from jupyter_mlops.capture import digesting
from jupyter_mlops.capture import inputs as module
from jupyter_mlops.capture.digesting import Later, Task
from jupyter_mlops.capture.files import FileWatch, Opened
from jupyter_mlops.capture.inputs import InputCollector, budget_of
from jupyter_mlops.model.events import InputRecord, RunAmended
from jupyter_mlops.project import Project
from jupyter_mlops.snapshots import digest, digest_file

from .drivers import Shell

SMALL = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


@dataclass
class Collecting:
    """A collector, and what it told later."""

    project: Project
    watch: FileWatch = field(default_factory=FileWatch)
    told: list[tuple[str, InputRecord]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.collector = InputCollector(
            self.watch, self.project.relative, lambda run, record: self.told.append((run, record))
        )

    def cell(
        self, namespace: dict[str, Any], *, bound: tuple[str, ...] = (), **options: Any
    ) -> dict[str, InputRecord]:
        options = {"seconds": 0.1} | options
        names = options.pop("names", list(namespace))
        found = self.collector.collect("run", names, bound, namespace, **options)
        assert len({record.name for record in found}) == len(found)
        return {record.name: record for record in found}

    def later(self) -> dict[str, InputRecord]:
        self.collector.settle("run")
        assert self.collector.wait(30)
        assert {run for run, _ in self.told} <= {"run"}
        return {record.name: record for _, record in self.told}


@pytest.fixture
def ours(project: Project) -> Iterator[Collecting]:
    before = set(threading.enumerate())  # A kernel of an earlier test may still be ending its own.
    collecting = Collecting(project)
    try:
        yield collecting
    finally:
        collecting.collector.close(5)
        collecting.watch.uninstall()
        now = set(threading.enumerate()) - before
        assert not [thread for thread in now if thread.name == "mlops-inputs"]


def test_each_kind_of_data_has_its_record(ours: Collecting) -> None:
    values: dict[str, Any] = {
        "frame": SMALL,
        "series": SMALL["a"],
        "array": np.zeros((3, 2)),
        "sparse": sp.eye(4, format="csr"),
        "table": pa.table({"a": [1]}),
        "both": [SMALL, np.zeros(2)],
        "named": {"train": SMALL, "rows": 2},
    }
    found = ours.cell(values)
    assert {name: record.kind for name, record in found.items()} == {
        "frame": "frame", "series": "series", "array": "array", "sparse": "sparse",
        "table": "table", "both": "object", "named": "object",
    }  # fmt: skip
    for name, record in found.items():
        assert record.digest == digest(values[name]).id
        assert record.reason is None
        assert record.how == "used"
    assert found["frame"].schema == {"a": "int64", "b": "str"}
    assert (found["frame"].rows, found["frame"].columns) == (2, 2)
    assert found["array"].size == 48


def test_what_is_no_data_is_no_input(ours: Collecting) -> None:
    values = {"n": 5, "text": "x", "numbers": [1, 2], "f": len, "pd": pd, "_private": SMALL,
              "scalar": np.float64(1), "point": np.array(1.0), "none": None,
              "options": {"a": 1}}  # fmt: skip
    assert ours.cell(values) == {}
    assert ours.cell({}, names=["gone"]) == {}


def test_what_the_cell_bound_is_a_result(ours: Collecting) -> None:
    assert list(ours.cell({"X": SMALL, "result": SMALL.copy()}, bound=("result",))) == ["X"]


def test_names_for_one_object_share_a_digest(ours: Collecting) -> None:
    found = ours.cell({"a": SMALL, "b": SMALL})
    assert found["a"].digest == found["b"].digest
    assert (found["a"].name, found["b"].name) == ("a", "b")


def test_the_source_of_an_earlier_read_is_named(ours: Collecting, project: Project) -> None:
    (project.root / "data").mkdir()
    path = project.root / "data" / "x.csv"
    SMALL.to_csv(path, index=False)
    ours.watch.install()
    frame, outside = pd.read_csv(path), SMALL.copy()
    ours.watch._note("read_csv", ("https://me:pw@host/x.csv",), {}, outside)
    many = SMALL.copy()
    ours.watch._note("read_parquet", ([path, "b"],), {}, many)
    found = ours.cell({"frame": frame, "outside": outside, "many": many})
    assert found["frame"].source == "data/x.csv"
    assert found["outside"].source == "https://host/x.csv"
    assert found["many"].source == "data/x.csv and 1 more"


@pytest.mark.parametrize(
    ("seconds", "budget"), [(0, 0.01), (0.1, 0.01), (1, 0.02), (2, 0.04), (100, 0.05)]
)
def test_the_budget_of_a_cell(seconds: float, budget: float) -> None:
    assert budget_of(seconds) == pytest.approx(budget)


def large() -> dict[str, Any]:
    values = np.random.default_rng(0).normal(size=2_000_000)
    frame = pd.DataFrame({"a": values})
    return {
        "frame": frame,
        "series": frame["a"],
        "table": pa.table({"a": values}),
        "pair": (frame, frame["a"]),
        "array": values,
        "sparse": sp.csr_matrix(values.reshape(1000, -1)),
        "arrays": [values, values],
    }


def test_what_is_over_the_budget_follows_where_it_can_be_pinned(ours: Collecting) -> None:
    values = large()
    started = time.thread_time()
    found = ours.cell(values, budget=0.001)
    assert time.thread_time() - started < 0.1
    assert {name for name, r in found.items() if r.digest is not None} == set()
    pinned = {"frame", "series", "table", "pair"}
    assert {n for n, r in found.items() if r.reason == "it is being digested"} == pinned
    assert "longer than the" in (found["array"].reason or "")
    assert "may change" in (found["array"].reason or "")
    assert not ours.told
    later = ours.later()
    assert set(later) == pinned
    for name, record in later.items():
        assert record.digest == digest(values[name]).id
        assert record.reason is None
        assert (record.rows, record.kind) == (found[name].rows, found[name].kind)


def test_what_the_next_cell_does_to_a_pinned_frame_is_not_seen(ours: Collecting) -> None:
    frame = large()["frame"]
    expected = digest(frame.copy()).id
    ours.cell({"frame": frame}, budget=0.0)
    frame.loc[5, "a"] = 0.0
    frame["b"] = 1
    assert ours.later()["frame"].digest == expected


def test_a_pinned_value_that_changes_meanwhile_is_discarded(
    ours: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.zeros(2_000_000)
    table = pa.table(
        {"a": pa.Array.from_buffers(pa.float64(), values.size, [None, pa.py_buffer(values)])}
    )
    ours.cell({"table": table}, budget=0.0)
    original = module.digest

    def tampered(value: Any, **options: Any) -> Any:
        found = original(value, **options)
        values[7] = 1.0
        return found

    monkeypatch.setattr(module, "digest", tampered)
    record = ours.later()["table"]
    assert record.digest is None
    assert record.reason == "it changed while it was being digested"


def test_one_megabyte_has_a_digest_whatever_the_budget(ours: Collecting) -> None:
    values = {f"x{i}": np.full(60_000, i) for i in range(4)}
    found = ours.cell(values, budget=0.0)
    assert [r.digest is not None for r in found.values()].count(True) == 2
    tiny = {"big": np.zeros(500_000), "small": np.zeros(10)}
    assert ours.cell(tiny, budget=0.0)["small"].digest == digest(tiny["small"]).id


def test_what_cannot_be_digested_says_why(ours: Collecting) -> None:
    bad = pd.DataFrame({"ok": [1], "bad": pd.Series([[1]], dtype=object)})
    record = ours.cell({"bad": bad})["bad"]
    assert record.digest is None
    assert record.reason == "column 'bad': list has no canonical form"
    assert (record.rows, record.columns) == (1, 2)
    assert ours.later() == {}


def test_a_frame_with_more_to_it_is_named(ours: Collecting) -> None:
    class Geo(pd.DataFrame):
        pass

    record = ours.cell({"geo": Geo({"a": [1, 2]})})["geo"]
    assert (record.kind, record.rows, record.digest) == ("frame", 2, None)
    assert "Geo may hold more" in (record.reason or "")


def test_a_broken_object_does_no_harm(ours: Collecting) -> None:
    broken = pd.DataFrame({"a": [1]})
    broken._mgr = None
    record = ours.cell({"broken": broken, "X": SMALL})
    assert record["X"].digest is not None
    assert "cannot be read" in (record["broken"].reason or "")


# --- Before the cell ---------------------------------------------------------------------------


def test_a_small_input_is_what_it_was_before_the_cell(ours: Collecting) -> None:
    namespace: dict[str, Any] = {"df": SMALL.copy(), "y": np.zeros(3)}
    before = ours.collector.begin(["df", "y", "none", "n"], namespace | {"n": 5})
    namespace["df"]["c"] = 1
    namespace["y"] = np.ones(3)
    found = ours.cell(namespace, bound=("y",), before=before)
    assert found["df"].digest == digest(SMALL).id
    assert found["y"].digest == digest(np.zeros(3)).id
    assert list(found) == ["df", "y"]


def test_a_larger_input_is_compared(ours: Collecting) -> None:
    namespace: dict[str, Any] = {n: np.full(200_000, i) for i, n in enumerate("abc")}
    before = ours.collector.begin("abc", namespace)
    for name in "abc":
        before.records.pop(name, None)
    before.marks = {
        n: (id(v), module.fingerprint(v), InputRecord(n, "array", size=v.nbytes))
        for n, v in namespace.items()
    }
    namespace["b"][5] = 99
    namespace["c"] = np.zeros(1)
    found = ours.cell(namespace, bound=("c",), before=before, budget=1.0)
    assert found["a"].digest == digest(namespace["a"]).id
    assert "changed it" in (found["b"].reason or "")
    assert "rebound it" in (found["c"].reason or "")
    assert found["b"].digest is found["c"].digest is None


def test_what_is_too_large_to_look_at_before_says_so(ours: Collecting) -> None:
    namespace: dict[str, Any] = {
        "x": np.zeros(20_000_000),
        "t": pa.table({"a": np.zeros(9_000_000)}),
    }
    started = time.thread_time()
    before = ours.collector.begin(["x", "t"], namespace)
    assert time.thread_time() - started < 0.05
    assert before.marks["x"][1] is None
    found = ours.cell(namespace, before=before, budget=1.0)
    assert "may have changed it" in (found["x"].reason or "")
    assert found["t"].digest == digest(namespace["t"]).id  # Arrow's tables do not change.


# --- Files -------------------------------------------------------------------------------------


def aged(path: Path, data: bytes) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(data)
    then = time.time_ns() - 10**10
    os.utime(path, ns=(then, then))
    return path


def test_files_have_their_digest(ours: Collecting, project: Project, tmp_path: Path) -> None:
    inside = aged(project.root / "data" / "a.csv", b"abc")
    outside = aged(tmp_path / "b.csv", b"xyz")
    aged(project.root / "parts" / "0", b"0")
    gone = project.root / "gone"
    files = [
        Opened(str(inside), "opened"), Opened(str(outside), "read"),
        Opened(str(project.root / "parts"), "read"), Opened("s3://bucket/c", "read"),
        Opened(str(gone), "opened"),
    ]  # fmt: skip
    found = ours.cell({}, files=files, budget=1.0)
    assert list(found) == ["data/a.csv", str(outside), "parts", "s3://bucket/c", "gone"]
    assert found["data/a.csv"].digest == digest_file(inside).id
    assert (found["data/a.csv"].kind, found["data/a.csv"].size) == ("file", 3)
    assert (found["data/a.csv"].source, found["data/a.csv"].how) == ("data/a.csv", "opened")
    assert found["parts"].kind == "folder"
    assert found["parts"].digest is not None
    assert "address" in (found["s3://bucket/c"].reason or "")
    assert "No such file" in (found["gone"].reason or "")


def test_a_large_file_follows_and_one_that_changed_has_none(
    ours: Collecting, project: Project
) -> None:
    large = aged(project.root / "large", b"x" * 3_000_000)
    fresh = project.root / "fresh"
    before = ours.collector.begin([], {})
    time.sleep(0.02)
    fresh.write_bytes(b"x")
    files = [Opened(str(large), "read"), Opened(str(fresh), "opened")]
    found = ours.cell({}, files=files, before=before, budget=0.0)
    assert found["large"].reason == "it is being digested"
    assert found["fresh"].reason == "it changed while the cell ran"
    assert ours.later()["large"].digest == digest_file(large).id


# --- In a session ------------------------------------------------------------------------------


def test_a_tracked_cell_says_what_it_depends_on(shell: Shell) -> None:
    SMALL.to_csv(shell.project.root / "d.csv", index=False)
    shell.run("import pandas as pd, pyarrow as pa, numpy as np")
    shell.run("df = pd.read_csv('d.csv'); big = pa.table({'z': np.zeros(20_000_000)})")
    shell.run("%%track\ndf['n'] = 1\nother = pd.read_csv('d.csv')\nrows = len(df) + len(big)")
    (run,) = shell.runs
    assert run.status == "FINISHED"
    found = {record.name: record for record in run.inputs}
    assert set(found) == {"df", "big", "d.csv"}
    assert found["df"].digest == digest(SMALL).id  # As it was before the cell.
    assert found["df"].source == "d.csv"
    assert (found["d.csv"].kind, found["d.csv"].how) == ("file", "read")
    assert found["d.csv"].digest == digest_file(shell.project.root / "d.csv").id
    assert found["big"].reason == "it is being digested"
    reader = shell.ip.user_ns["pd"].read_csv
    assert hasattr(reader, "__wrapped__")
    shell.unload()
    assert not hasattr(shell.ip.user_ns["pd"].read_csv, "__wrapped__")
    amended = [record.inputs for record in shell.session.records if isinstance(record, RunAmended)]
    expected = digest(shell.ip.user_ns["big"]).id
    assert {i.digest for inputs in amended for i in inputs if i.name == "big"} == {expected}


# --- The thread --------------------------------------------------------------------------------


def test_runs_that_are_never_settled_are_dropped(ours: Collecting) -> None:
    frame = large()["frame"]
    for number in range(12):
        ours.collector.collect(str(number), ["f"], [], {"f": frame}, seconds=1, budget=0.0)
    ours.collector.settle("0")
    assert ours.collector.wait(5)
    assert ours.told == []


def test_failures_and_the_end_of_the_session_are_told() -> None:
    told: list[InputRecord] = []
    later = Later(lambda run, record: told.append(record))
    base = InputRecord("x", "frame")
    entered, go = threading.Event(), threading.Event()

    def stuck(pause: Any) -> InputRecord:
        entered.set()
        go.wait(10)
        while True:
            pause()

    def broken(pause: Any) -> InputRecord:
        raise ValueError("odd")

    later.keep("run", [Task(base, broken), Task(base, stuck), Task(base, broken)])
    later.start("run")
    assert entered.wait(10)
    assert told[0].reason == "it cannot be digested: ValueError: odd"
    closing = threading.Thread(target=later.close, args=(0.0,))
    closing.start()
    deadline = time.monotonic() + 10
    while len(told) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    go.set()
    closing.join(10)
    assert later.wait(10)
    assert [r.reason for r in told[1:]] == ["the session ended before it was digested"] * 2
    later.keep("late", [Task(base, broken)])
    later.start("late")
    assert len(told) == 3


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digesting, "_WAITING", 2)
    told: list[InputRecord] = []
    later = Later(lambda run, record: told.append(record))
    base = InputRecord("x", "frame")
    later.keep("run", [Task(base, lambda pause: base)] * 3)
    later.start("run")
    assert later.wait(10)
    assert sorted(r.reason or "" for r in told) == [
        "", "", "too many inputs are waiting for their digest"
    ]  # fmt: skip


def test_a_callback_that_fails_does_not_stop_the_thread() -> None:
    seen: list[str] = []

    def done(run: str, record: InputRecord) -> None:
        seen.append(record.name)
        raise OSError

    later = Later(done)
    records = [InputRecord(name, "frame") for name in "ab"]
    later.keep("run", [Task(record, lambda pause, record=record: record) for record in records])
    later.start("run")
    assert later.wait(10)
    assert seen == ["a", "b"]
