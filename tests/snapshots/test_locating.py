"""Addresses: names with slashes, endings, paths within folders, and numbers instead of latest."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from jupyter_mlops.errors import NotFoundError, UsageError
from jupyter_mlops.project import Project
from jupyter_mlops.snapshots.locating import locate, pin_addresses
from jupyter_mlops.snapshots.service import existing_store, take


@pytest.fixture
def filled(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(project.root)
    folder = project.root / "raw"
    (folder / "2026").mkdir(parents=True)
    (folder / "2026" / "a.csv").write_text("x\n1\n")
    take(project, folder, "data/raw", tags=["first"])
    take(project, folder / "2026" / "a.csv", "data/a.csv")
    for count in (1, 2):
        take(project, pd.DataFrame({"x": range(count)}), "train.ipynb/df")
    return project


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("train.ipynb/df", "train.ipynb/df@2"),
        ("train.ipynb/df@1", "train.ipynb/df@1"),
        ("train.ipynb/df@1.csv", "train.ipynb/df@1.csv"),
        ("data/a.csv", "data/a.csv@1"),
        ("data/raw/2026/a.csv", "data/raw@1/2026/a.csv"),
        ("data/raw@first/2026/a.csv", "data/raw@1/2026/a.csv"),
        ("data/raw@latest", "data/raw@1"),
    ],
)
def test_an_address_means_one_version(filled: Project, path: str, address: str) -> None:
    found = locate(existing_store(filled), path)
    assert found.address == f"snapshot://{address}"
    assert locate(existing_store(filled), address) == found


def test_what_is_not_there_is_not_found(filled: Project) -> None:
    for path in ("nothing", "data", "train.ipynb/df@9", "data/a.csv@1x", "a/b/c@"):
        with pytest.raises((NotFoundError, UsageError)):
            locate(existing_store(filled), path)


def test_files_with_slashes_in_their_name_open(filled: Project) -> None:
    assert pd.read_csv("snapshot://data/a.csv@1")["x"].tolist() == [1]
    assert pd.read_csv("snapshot://data/raw@first/2026/a.csv")["x"].tolist() == [1]
    assert len(pd.read_parquet("snapshot://train.ipynb/df@1")) == 1


def test_parameters_are_pinned(filled: Project) -> None:
    given = {"data": "snapshot://train.ipynb/df", "n": 3, "all": ["snapshot://data/raw", "x"]}
    assert pin_addresses(filled, given) == {
        "data": "snapshot://train.ipynb/df@2", "n": 3, "all": ["snapshot://data/raw@1", "x"],
    }  # fmt: skip
    with pytest.raises(UsageError, match="data is snapshot://sales@4/x") as caught:
        pin_addresses(filled, {"data": "snapshot://sales@4/x"})
    assert caught.value.hint == "jupyter mlops snapshots pull sales@4"


def test_without_any_store_the_command_is_said(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not on this machine"):
        pin_addresses(project, {"data": "snapshot://sales"})
