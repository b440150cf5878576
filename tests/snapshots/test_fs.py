"""``snapshot://`` for everything that opens files with fsspec."""

from __future__ import annotations

import re
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.errors import UsageError
from jupyter_mlops.project import Project
from jupyter_mlops.snapshots.fs import SnapshotFileSystem
from jupyter_mlops.snapshots.service import take

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def registered(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installed package is: by its entry point."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    match = re.search(r'"fsspec\.specs"\]\nsnapshot = "([\w.]+):(\w+)"', text)
    assert match is not None
    assert (SnapshotFileSystem.__module__, SnapshotFileSystem.__name__) == match.groups()
    fsspec.register_implementation("snapshot", SnapshotFileSystem, clobber=True)
    monkeypatch.chdir(project.root)


def test_frames_are_read_as_parquet_and_csv(project: Project) -> None:
    a = pd.DataFrame({"id": [1, 2, 3], "s": ["x", None, "z"]})
    take(project, a, "customers", tags=["raw"])
    take(project, a.assign(id=0), "customers")
    pd.testing.assert_frame_equal(pd.read_parquet("snapshot://customers@1"), a)
    pd.testing.assert_frame_equal(pd.read_parquet("snapshot://customers@raw"), a)
    assert pd.read_parquet("snapshot://customers", columns=["id"]).id.tolist() == [0, 0, 0]
    pd.testing.assert_frame_equal(pd.read_csv("snapshot://customers@1.csv"), a)
    named = a.set_index("id")
    take(project, named, "named")
    pd.testing.assert_frame_equal(pd.read_parquet("snapshot://named.parquet"), named)


def test_arrays_and_files_are_themselves(project: Project, tmp_path: Path) -> None:
    take(project, np.arange(5), "array")
    with fsspec.open("snapshot://array") as file:
        assert np.load(file).tolist() == [0, 1, 2, 3, 4]
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "t.csv").write_text("a,b\n1,2\n")
    (folder / "sub" / "u.bin").write_bytes(b"\0\1")
    take(project, folder, "data")
    take(project, folder / "t.csv", "t.csv")
    assert pd.read_csv("snapshot://data@1/t.csv").b.tolist() == [2]
    assert pd.read_csv("snapshot://t.csv").b.tolist() == [2]
    fs = fsspec.filesystem("snapshot")
    assert fs.find("data@1") == ["data@1/sub/u.bin", "data@1/t.csv"]
    assert fs.isdir("data@1/sub")
    assert fs.isfile("data@1/t.csv")
    assert not fs.exists("data@1/nope")
    assert fs.cat("snapshot://data@1/sub/u.bin") == b"\0\1"


def test_the_file_can_be_sought_and_says_its_size(project: Project) -> None:
    take(project, pd.DataFrame({"a": range(1000)}), "n")
    fs = fsspec.filesystem("snapshot")
    size = fs.info("n@1")["size"]
    with fs.open("n@1") as file:
        assert file.read(4) == b"PAR1"
        file.seek(-4, 2)
        assert file.read() == b"PAR1"
        assert file.tell() == size
    assert fs.ls("", detail=False) == ["n@1"]
    assert fs.ls("n@1")[0]["type"] == "file"
    assert fs.created("n") > 0
    assert fs.ukey("n") == fs.ukey("n@1")


def test_it_is_read_only_and_says_what_is_missing(project: Project) -> None:
    with pytest.raises(FileNotFoundError, match="no snapshots yet"):
        pd.read_csv("snapshot://nope.csv")
    take(project, {"a": 1}, "n")
    with pytest.raises(FileNotFoundError, match="'nope'"):
        fsspec.filesystem("snapshot").open("nope")
    with pytest.raises(UsageError, match="not a table"):
        fsspec.filesystem("snapshot").open("n@1")
    with pytest.raises(UsageError, match="never changes"):
        fsspec.filesystem("snapshot").open("n@1", "wb")


def test_another_project_is_named_by_an_option(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(project, pd.DataFrame({"a": [1]}), "n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    options = {"project": str(project.root)}
    assert pd.read_parquet("snapshot://n", storage_options=options).a.tolist() == [1]


def test_an_address_passes_as_a_parameter_unchanged() -> None:
    from jupyter_mlops.pipelines.parameters import convert_text

    address = "snapshot://customers@3"
    for schema in ({"type": "string"}, {}, {"type": ["string", "null"]}):
        assert convert_text(address, schema) == address
