"""Inputs as versions: what is pinned, kept, refused and why; nothing is ever torn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from jupyter_mlops.capture import inputs as module
from jupyter_mlops.capture import pinning
from jupyter_mlops.capture.files import FileWatch, Opened
from jupyter_mlops.capture.inputs import InputCollector
from jupyter_mlops.capture.keeping import Keeper
from jupyter_mlops.config import Config
from jupyter_mlops.errors import Undigested
from jupyter_mlops.model.events import BEING_KEPT, InputRecord
from jupyter_mlops.project import Project
from jupyter_mlops.snapshots import automatic, digest
from jupyter_mlops.snapshots.automatic import automatic_name
from jupyter_mlops.snapshots.naming import check_name
from jupyter_mlops.snapshots.service import existing_store, restore, take


@dataclass
class Keeping:
    """A collector that keeps, and what it told later."""

    project: Project
    config: Config = field(default_factory=Config)
    told: list[InputRecord] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        self.project.create()
        keeper = Keeper(
            self.project, self.config, "SESSION", "nb/train.ipynb", self.said.setdefault
        )
        self.watch = FileWatch()
        self.collector = InputCollector(
            self.watch,
            self.project.relative,
            lambda run, record: self.told.append(record),
            keeper=keeper,
        )

    def cell(self, namespace: dict[str, Any], **options: Any) -> dict[str, InputRecord]:
        self.runs += 1
        names = options.pop("names", list(namespace))
        bound = options.pop("bound", ())
        options = {"seconds": 0.1} | options
        found = self.collector.collect(f"run{self.runs}", names, bound, namespace, **options)
        return {record.name: record for record in found}

    def later(self) -> dict[str, InputRecord]:
        self.told.clear()
        self.collector.settle(f"run{self.runs}")
        assert self.collector.wait(60)
        return {record.name: record for record in self.told}

    def kept(self, namespace: dict[str, Any], **options: Any) -> dict[str, InputRecord]:
        """What became of the inputs of one cell."""
        found = self.cell(namespace, **options)
        return found | self.later()


@pytest.fixture
def make(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Keeping]]:
    monkeypatch.setattr(module, "_ALWAYS", 10.0)  # However busy the machine is.
    made: list[Keeping] = []

    def build(**settings: Any) -> Keeping:
        made.append(Keeping(project, Config(**settings)))
        return made[-1]

    yield build
    for keeping in made:
        keeping.collector.close(5)
        keeping.watch.uninstall()
    assert not [t for t in threading.enumerate() if t.name == "mlops-inputs"]


@pytest.fixture
def ours(make: Callable[..., Keeping]) -> Keeping:
    return make()


def objects(cells: list[Any]) -> pd.Series:
    return pd.Series(cells, dtype=object)


def values() -> dict[str, Any]:
    return {
        "frame": pd.DataFrame({"a": [1, 2], "b": ["x", None], "o": objects([1, "z"])}),
        "series": pd.Series([1.5, 2.5], name="s"),
        "polars": pl.DataFrame({"a": [1, 2], "b": ["x", None]}),
        "table": pa.table({"a": [1, None], "t": [["x"], []]}),
        "array": np.arange(6.0).reshape(2, 3),
        "objects": np.array(["a", None, 3], dtype=object),
        "sparse": sp.csr_matrix(np.eye(3)),
        "both": {"train": pd.DataFrame({"a": [1]}), "y": np.arange(3)},
    }  # fmt: skip


def test_each_kind_of_input_comes_back(ours: Keeping, project: Project) -> None:
    data = values()
    found = ours.cell(data)
    assert {record.reason for record in found.values()} == {BEING_KEPT}
    assert {record.snapshot for record in found.values()} == {None}
    kept = ours.later()
    for name, value in data.items():
        record = kept[name]
        assert (record.snapshot, record.reason) == (f"train.ipynb/{name}@1", None)
        assert record.added > 0
        stored = restore(project, f"train.ipynb/{name}@1")
        assert record.digest == digest(value).id == digest(stored).id
    version = existing_store(project).resolve("train.ipynb/frame@1")
    assert version.meta["automatic"] is True
    assert (version.meta["run"], version.meta["session"]) == ("run1", "SESSION")
    # In the next cell it is known already, and said at once.
    again = ours.cell(data)
    assert {r.snapshot for r in again.values()} == {f"train.ipynb/{name}@1" for name in data}
    assert {(r.added, r.reason) for r in again.values()} == {(0, None)}
    assert ours.later() == {}


def test_a_new_value_is_a_new_version_and_a_known_one_is_not(
    make: Callable[..., Keeping], project: Project
) -> None:
    frame = pd.DataFrame({"a": range(1000)})
    assert make().kept({"df": frame})["df"].snapshot == "train.ipynb/df@1"
    other = make()  # Another session finds it in the store.
    record = other.kept({"df": frame.copy()})["df"]
    assert (record.snapshot, record.added) == ("train.ipynb/df@1", 0)
    frame.loc[3, "a"] = -1
    record = other.kept({"df": frame, "same": frame})["df"]
    assert record.snapshot == "train.ipynb/df@2"
    store = existing_store(project)
    assert {v.spec for v in store.versions()} == {
        "train.ipynb/df@1", "train.ipynb/df@2", "train.ipynb/same@1"
    }  # fmt: skip
    # A version that was taken away is made again.
    store.remove("train.ipynb/df@2")
    assert other.kept({"df": frame})["df"].snapshot == "train.ipynb/df@3"


def test_names_of_the_person_s_own_are_not_touched(ours: Keeping, project: Project) -> None:
    mine, theirs = pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [2]})
    take(project, mine, "train.ipynb/df")
    record = ours.kept({"df": mine})["df"]
    assert (record.snapshot, record.added) == ("train.ipynb/df@1", 0)
    assert ours.kept({"df": theirs})["df"].snapshot == "train.ipynb/df~2@1"
    assert [v.spec for v in existing_store(project).versions("train.ipynb/df")] == [
        "train.ipynb/df@1"
    ]
    assert ours.kept({"df": theirs.assign(c=1)})["df"].snapshot == "train.ipynb/df~2@2"


@pytest.mark.parametrize(
    "text",
    ["data/a@b.csv", "/srv/data/x.csv", "a\nb", " ", "ü" * 300, "x" * 199, "a\udc80b", "~/x"],
)
def test_any_path_has_a_name(text: str) -> None:
    name = automatic_name(text)
    check_name(name)
    check_name(f"{name}~99")
    assert not name.startswith("/")


class Gate:
    """Encoding waits for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, before: bool) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        original: Any = vars(automatic)["encode"]

        def wait() -> None:
            self.reached.set()
            assert self.opened.wait(60)

        def encode(*args: Any, **options: Any) -> Any:
            if before:
                wait()
            found = original(*args, **options)
            if not before:
                wait()
            return found

        monkeypatch.setattr(automatic, "encode", encode)


def rows() -> pd.DataFrame:
    count = 100_000
    return pd.DataFrame(
        {"a": np.arange(float(count)), "s": ["x"] * count, "o": objects([1] * count)}
    )


def change_frame(frame: pd.DataFrame) -> None:
    frame.loc[5, "a"] = -1.0
    frame.iloc[7, 1] = "changed"
    frame.loc[9, "o"] = "changed"
    frame["more"] = 1


def change_array(array: Any) -> None:
    array[3] = -1


def change_matrix(matrix: Any) -> None:
    matrix.data[:] = 0


def change_polars(frame: pl.DataFrame) -> None:
    frame[0, "a"] = -1.0
    frame.replace_column(1, pl.Series("s", ["changed"] * frame.height))


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    ("make_value", "change"),
    [
        (rows, change_frame),
        (lambda: rows()["a"], lambda s: s.mask(s > 3, inplace=True)),
        (lambda: np.arange(300_000), change_array),
        (lambda: np.array([1] * 1000, dtype=object), change_array),
        (lambda: sp.csr_matrix(np.eye(200)), change_matrix),
        (lambda: pl.from_pandas(rows()[["a", "s"]]), change_polars),
        (lambda: pd.DataFrame({"a": [1, 2]}), lambda f: f.isetitem(0, [3, 4])),
    ],
    ids=["frame", "series", "array", "objects", "sparse", "polars", "small"],
)
def test_what_changes_while_it_is_kept_does_not_get_in(
    ours: Keeping,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    make_value: Callable[[], Any],
    change: Callable[[Any], None],
    before: bool,
) -> None:
    monkeypatch.setattr(pinning, "COPY_SECONDS", 10.0)  # However busy the machine is.
    value, expected = make_value(), digest(make_value()).id
    gate = Gate(monkeypatch, before=before)
    ours.cell({"x": value})
    ours.collector.settle("run1")
    assert gate.reached.wait(60)
    change(value)
    gate.opened.set()
    assert ours.collector.wait(60)
    record = ours.told[-1]
    assert record.snapshot == "train.ipynb/x@1"
    assert digest(restore(project, "train.ipynb/x@1")).id == record.digest == expected


@pytest.mark.parametrize("when", ["at once", "before", "after"])
@pytest.mark.parametrize("size", [400_000, 4_000_000], ids=["digested", "postponed"])
def test_memory_that_is_written_to_past_its_library_is_noticed(
    ours: Keeping, project: Project, monkeypatch: pytest.MonkeyPatch, when: str, size: int
) -> None:
    monkeypatch.setattr(pinning, "COPY_SECONDS", 10.0)  # However busy the machine is.
    memory = np.arange(size, dtype=float)
    hidden = memory.view()
    frame = pd.DataFrame({"a": memory}, copy=False)
    buffer = pa.py_buffer(hidden)
    table = pa.table({"a": pa.Array.from_buffers(pa.float64(), size, [None, buffer])})
    expected = digest(frame).id, digest(table).id
    gate = Gate(monkeypatch, before=when == "before")
    ours.cell({"frame": frame, "table": table}, budget=0.02)
    if when == "at once":
        hidden[1] = -1
        gate.opened.set()
    ours.collector.settle("run1")
    if when != "at once":
        assert gate.reached.wait(60)
        hidden[1] = -1
        gate.opened.set()
    assert ours.collector.wait(60)
    told = {record.name: record for record in ours.told}
    for record, wanted in zip((told["frame"], told["table"]), expected, strict=True):
        if record.snapshot is not None:
            assert digest(restore(project, record.snapshot)).id == record.digest == wanted
        else:
            assert "it changed" in (record.reason or "")
            assert record.digest in (None, wanted)
    if when == "at once":
        assert {record.snapshot for record in told.values()} == {None}


def test_what_is_too_long_to_be_marked_is_copied_or_not_kept(
    ours: Keeping, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = np.arange(400_000.0)
    frame, table = pd.DataFrame({"a": memory}, copy=False), pa.table({"a": memory})
    namespace = {"frame": frame, "table": table, "memory": memory}
    monkeypatch.setattr(pinning, "fingerprint", too_long)
    found = ours.cell(namespace, names=["frame", "table"], budget=0.0)
    assert "an array shares its memory" in (found["table"].reason or "")
    expected = digest(frame.copy()).id
    memory[:] = 0
    monkeypatch.undo()
    record = ours.later()["frame"]
    assert digest(restore(project, record.snapshot or "")).id == record.digest == expected
    monkeypatch.setattr(pinning, "fingerprint", too_long)
    monkeypatch.setattr(pinning.Copies, "take", refuse)
    record = ours.cell({"frame": frame}, budget=0.0)["frame"]
    assert record.digest is None
    assert "no time" in (record.reason or "")


def too_long(value: Any, **_: Any) -> bytes:
    raise Undigested("too long")


def refuse(self: Any, size: int, copy: Any) -> Any:
    raise pinning.NotPinned("no time")


def test_arrays_are_copied_within_the_time_of_a_cell(
    ours: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinning, "_RATE", 1e8)  # 5 MB in 50 ms.
    found = ours.kept({"much": np.zeros(1_000_000), "small": np.zeros(1000)}, budget=1.0)
    assert found["small"].snapshot == "train.ipynb/small@1"
    assert found["much"].snapshot is None
    assert found["much"].digest == digest(np.zeros(1_000_000)).id
    assert "to copy 8 MB takes longer than the 50 ms" in (found["much"].reason or "")


def test_copies_that_wait_are_bounded(make: Callable[..., Keeping]) -> None:
    ours = make(snapshot_input_limit=20_000)
    found = ours.cell({f"x{i}": np.full(1500, i) for i in range(3)})
    reasons = sorted(str(record.reason) for record in found.values())
    # What is small is copied anyway, but not beyond what may wait.
    assert reasons[0] == BEING_KEPT
    assert "too much waits to be kept already" in reasons[-1]
    ours.later()
    # What was kept makes room again.
    assert ours.kept({"y": np.full(2000, 9)})["y"].snapshot == "train.ipynb/y@1"


def test_an_input_over_the_limit_is_recorded_by_digest_and_said_once(
    make: Callable[..., Keeping], project: Project
) -> None:
    ours = make(snapshot_input_limit=10_000)
    path = project.root / "big.bin"
    path.write_bytes(bytes(20_000))
    big, table = np.zeros(3000), pa.table({"a": range(3000)})
    found = ours.kept(
        {"big": big, "table": table, "small": np.zeros(3)},
        files=[Opened(str(path), "opened")], before=None, seconds=0.0,
    )  # fmt: skip
    for name in ("big", "table", "big.bin"):
        assert found[name].snapshot is None
        assert found[name].digest is not None
        assert "more than the 10 kB that an input may have" in (found[name].reason or "")
    assert found["small"].snapshot == "train.ipynb/small@1"
    assert list(ours.said) == ["snapshots-input"]


def test_a_full_project_is_recorded_by_digest_and_said_once(
    make: Callable[..., Keeping], project: Project
) -> None:
    ours = make(snapshot_project_limit=30_000)
    rng = np.random.default_rng(0)
    first = {"a": rng.normal(size=3000)}
    assert ours.kept(first)["a"].snapshot == "train.ipynb/a@1"
    # More than there is room for: given up in the middle, and nothing of it stays.
    large = ours.kept({"b": rng.normal(size=300_000)})["b"]
    assert (large.snapshot, large.digest is None) == (None, False)
    assert "may take 30.0 kB" in (large.reason or "")
    packs = existing_store(project).packs
    assert len(list(packs.iterdir())) == 1
    assert list(ours.said) == ["snapshots-limit"]
    assert "snapshot-project-limit" in ours.said["snapshots-limit"]
    # What is there already is still named.
    assert ours.kept(first)["a"].snapshot == "train.ipynb/a@1"


def test_a_disk_that_would_be_full_is_said_once(make: Callable[..., Keeping]) -> None:
    ours = make(snapshot_reserve=0.999999)
    for number in range(2):
        record = ours.kept({"a": np.full(2000, number)})["a"]
        assert record.snapshot is None
        assert record.digest is not None
        assert "are kept free" in (record.reason or "")
    assert list(ours.said) == ["snapshots-disk"]


def test_files_and_folders(ours: Keeping, project: Project, tmp_path: Path) -> None:
    inside, outside = project.root / "data", tmp_path / "else.csv"
    inside.mkdir()
    (inside / "a.csv").write_text("a\n1\n")
    (inside / "b.csv").write_text("b\n2\n")
    (inside / "link.csv").symlink_to("a.csv")
    outside.write_text("c\n3\n")
    time.sleep(0.06)
    paths = [inside / "a.csv", inside, outside]
    found = ours.kept({}, files=[Opened(str(path), "read") for path in paths], seconds=0.0)
    assert found["data/a.csv"].snapshot == "data/a.csv@1"
    assert restore(project, "data/a.csv@1").read() == b"a\n1\n"
    assert found["data"].snapshot == "data@1"
    assert sorted(restore(project, "data@1").names()) == ["a.csv", "b.csv", "link.csv"]
    record = found[str(outside)]
    assert record.snapshot is not None
    assert record.snapshot.rpartition("@")[0] == str(outside).lstrip("/")
    assert restore(project, record.snapshot).read() == b"c\n3\n"


def test_a_file_that_changes_before_it_is_kept(ours: Keeping, project: Project) -> None:
    path = project.root / "a.csv"
    path.write_text("a\n1\n")
    time.sleep(0.06)
    record = ours.cell({}, files=[Opened(str(path), "read")], seconds=0.0)["a.csv"]
    assert record.digest is not None
    path.write_text("a\n2\n")
    later = ours.later()["a.csv"]
    assert (later.snapshot, later.digest) == (None, record.digest)
    assert later.reason == "not kept: it changed before it was kept"


def test_a_value_that_the_cell_changes_is_kept_as_it_was(ours: Keeping, project: Project) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3]})
    namespace = {"frame": frame}
    before = ours.collector.begin(["frame"], namespace)
    frame.loc[0, "a"] = 9
    record = ours.kept(namespace, before=before)["frame"]
    assert record.snapshot == "train.ipynb/frame@1"
    assert list(restore(project, "train.ipynb/frame@1")["a"]) == [1, 2, 3]


def test_what_has_no_canonical_form_is_not_kept(ours: Keeping) -> None:
    frame = pd.DataFrame({"bad": pd.Series([[1]], dtype=object)})
    record = ours.kept({"frame": frame})["frame"]
    assert (record.digest, record.snapshot) == (None, None)
    assert record.reason == "column 'bad': list has no canonical form"


def test_what_waits_when_the_session_ends_has_the_reason(
    ours: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, before=True)
    ours.cell({"a": np.arange(5), "b": np.arange(6)})
    ours.collector.settle("run1")
    assert gate.reached.wait(60)
    closing = threading.Thread(target=ours.collector.close, args=(0.0,))
    closing.start()
    while not any(r.name == "b" for r in ours.told):
        time.sleep(0.01)
    gate.opened.set()
    closing.join(60)
    reasons = {record.name: record.reason for record in ours.told}
    assert reasons["b"] == "the session ended before it was kept"
    assert "the session ended" in (reasons["a"] or "")
    assert all(record.digest is not None for record in ours.told)


def test_nothing_is_kept_where_it_is_turned_off(
    make: Callable[..., Keeping], project: Project
) -> None:
    for settings in ({"snapshot_inputs": "never"}, {"capture": "minimal"}):
        record = make(**settings).kept({"a": np.arange(5)})["a"]
        assert (record.snapshot, record.reason) == (None, None)
        assert record.digest is not None
    record = make().kept({"a": np.arange(5)}, keep=False)["a"]
    assert (record.snapshot, record.reason) == (None, None)
    record = make().kept({"a": np.arange(5)}, private={"a"})["a"]
    assert (record.snapshot, record.reason) == (None, "not kept: a private cell made it")
    assert not (project.state / "snapshots" / "packs").exists()
