"""``jupyter mlops snapshots`` and ``diff``, as typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from jupyter_mlops.project import Project
from jupyter_mlops.snapshots.service import existing_store, restore, take

from .command_line import Mlops
from .test_registry_verbs import mlops

__all__ = ["mlops"]


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"id": range(200), "x": [0.5] * 200, "s": ["a", "b"] * 100})


@pytest.fixture
def two(project: Project, frame: pd.DataFrame) -> Project:
    """Two versions of ``customers``."""
    take(project, frame, "customers", "as loaded", tags=["raw"])
    frame.loc[5, "x"] = 9.0
    take(project, frame, "customers")
    return project


def test_ls_and_show(mlops: Mlops, project: Project, frame: pd.DataFrame) -> None:
    empty = mlops("snapshots", "ls")
    assert empty.code == 0
    assert "%snapshot EXPR" in empty.out
    assert mlops("snapshots", "ls", "--json").json == {"snapshots": []}
    assert mlops("snapshots", "ls", "nope").code == 2
    take(project, frame, "customers", "as loaded", tags=["raw"])
    listed = mlops("snapshots", "ls")
    assert "customers@1" in listed.out
    assert "200 x 3" in listed.out
    versions = mlops("snapshots", "ls", "customers")
    assert "raw" in versions.out
    assert "as loaded" in versions.out
    assert mlops("snapshots", "ls", "other").code == 2
    shown = mlops("snapshots", "show", "customers@raw")
    assert shown.code == 0
    for word in ("customers@1", "blake3:", "int64", "float64", "str", "MISSING", "as loaded"):
        assert word in shown.out
    data = mlops("snapshots", "show", "customers", "--json").json
    assert data["spec"] == "customers@1"
    assert [c["name"] for c in data["schema"]] == ["id", "x", "s"]
    wrong = mlops("snapshots", "show", "customers@7")
    assert wrong.code == 2
    assert "customers@7" in wrong.err


def test_rm_tag_and_untag_print_what_takes_them_back(mlops: Mlops, two: Project) -> None:
    removed = mlops("snapshots", "rm", "customers@2")
    assert removed.out.splitlines()[-1] == (
        "To take it back: jupyter mlops snapshots restore customers@2"
    )
    assert mlops("snapshots", "show", "customers@2").code == 2
    back = mlops("snapshots", "restore", "customers@2", "--json").json
    assert back["undo"] == "jupyter mlops snapshots rm customers@2"
    assert restore(two, "customers").x[5] == 9.0
    moved = mlops("snapshots", "tag", "customers@2", "raw")
    assert "To take it back: jupyter mlops snapshots tag customers@1 raw" in moved.out
    assert "snapshots untag customers@good" in mlops("snapshots", "tag", "customers", "good").out
    gone = mlops("snapshots", "untag", "customers@raw")
    assert "To take it back: jupyter mlops snapshots tag customers@2 raw" in gone.out
    assert mlops("snapshots", "untag", "customers").code == 2
    assert mlops("snapshots", "untag", "customers@nope").code == 2
    assert mlops("snapshots", "tag", "customers", "latest").code == 2


def test_take_and_export_files(mlops: Mlops, project: Project, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "t.csv").write_text("a\n1\n")
    taken = mlops("snapshots", "take", str(data), "-m", "raw files", "--tag", "raw")
    assert taken.code == 0
    assert "data@1" in taken.out
    assert "already" in mlops("snapshots", "take", str(data)).out
    written = mlops("snapshots", "export", "data@raw", str(tmp_path / "out"), "--json").json
    assert (Path(written["path"]) / "t.csv").read_text() == "a\n1\n"
    assert mlops("snapshots", "take", str(tmp_path / "nowhere")).code == 2
    assert mlops("snapshots", "export", "data", str(tmp_path / "x"), "--format", "csv").code == 2


def test_export_of_frames(mlops: Mlops, two: Project, frame: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    assert mlops("snapshots", "export", "customers@1", str(path)).code == 0
    assert pd.read_parquet(path).x[5] == 0.5
    again = mlops("snapshots", "export", "customers", str(path))
    assert again.code == 2
    assert "--force" in again.err
    assert mlops("snapshots", "export", "customers", str(path), "--force").code == 0
    part = tmp_path / "part.txt"
    words = ("--format", "csv", "--columns", "id,s", "--rows", "0:3")
    assert mlops("snapshots", "export", "customers", str(part), *words).code == 0
    assert part.read_text().splitlines() == ["id,s", "0,a", "1,b", "2,a"]


def test_verify_gc_and_du(mlops: Mlops, two: Project) -> None:
    good = mlops("snapshots", "verify")
    assert good.code == 0
    assert "as it was written" in good.out
    usage = mlops("snapshots", "du")
    assert "customers" in usage.out
    assert "sharing saved" in usage.out
    assert mlops("snapshots", "du", "--json").json["names"][0]["versions"] == 2
    mlops("snapshots", "rm", "customers@2")
    said = mlops("snapshots", "gc", "--grace", "0")
    assert "Would free" in said.out
    assert "gc --yes" in said.out
    assert mlops("snapshots", "restore", "customers@2").code == 0
    mlops("snapshots", "rm", "customers@2")
    assert "Freed" in mlops("snapshots", "gc", "--yes", "--grace", "0").out
    assert mlops("snapshots", "restore", "customers@2").code == 2
    (pack, *_) = (two.state / "snapshots" / "packs").glob("*.pack")
    data = bytearray(pack.read_bytes())
    data[40] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(data)
    bad = mlops("snapshots", "verify")
    assert bad.code == 1
    assert "customers@1" in bad.out
    assert mlops("snapshots", "verify", "--quick", "--json").json["ok"] is False
    mended = mlops("snapshots", "repair")
    assert mended.code == 0, mended.out
    assert "1 mended here" in mended.out
    assert mlops("snapshots", "verify").code == 0
    assert mlops("snapshots", "repair", "--json").json["found"] == 0


def test_purge_needs_a_yes(mlops: Mlops, two: Project) -> None:
    asked = mlops("snapshots", "purge", "customers@1")
    assert asked.code == 0
    assert "Would erase customers@1" in asked.out
    assert "snapshots purge customers@1 --yes" in asked.out
    assert len(existing_store(two).versions("customers")) == 2
    done = mlops("snapshots", "purge", "customers@1", "--yes", "--reason", "asked to be forgotten")
    assert done.code == 0
    assert "Erased customers@1" in done.out
    assert [v.version for v in existing_store(two).versions("customers")] == [2]
    assert mlops("snapshots", "purge", "customers@1", "--yes").code == 2
    said = mlops("snapshots", "show", "customers@1")
    assert said.code == 2
    assert "was erased on 20" in said.err
    assert "asked to be forgotten" in said.err
    assert "customers@1" in mlops("snapshots", "ls", "--all").out
    listed = mlops("snapshots", "ls", "customers", "--all", "--json").json["gone"]
    assert [(item["spec"], item["how"]) for item in listed] == [("customers@1", "erased")]


def test_purge_of_a_column_and_of_rows(mlops: Mlops, two: Project, tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")
    assert mlops("snapshots", "push", "--remote", remote).code == 0
    before = existing_store(two).resolve("customers@1").digest
    ask = ("snapshots", "purge", "customers", "--key", "id", "--values", "3,4")
    asked = mlops(*ask)
    assert "customers@1: loses 2 rows" in asked.out
    assert "purge customers --key id --values 3,4 --yes" in asked.out
    assert len(restore(two, "customers@1")) == 200
    done = mlops(*ask, "--yes", "--remote", remote, "--json").json
    assert [change["rows"] for change in done["changes"]] == [2, 2]
    assert done["remote"]["versions"] == ["customers@1", "customers@2"]
    assert list(restore(two, "customers@1").id[:5]) == [0, 1, 2, 5, 6]
    assert before in mlops("snapshots", "show", "customers@1").out
    assert mlops("snapshots", "push", "--remote", remote, "--json").json["new"] == 0
    asked = mlops("snapshots", "purge", "customers", "--column", "x")
    assert "customers@2: loses 1 column\n" in asked.out
    assert mlops("snapshots", "purge", "customers", "--column", "x", "--yes").code == 0
    assert "x" not in restore(two, "customers@2")
    left = mlops("snapshots", "push", "--remote", remote)
    assert "push --erase" in left.out
    assert mlops("snapshots", "push", "customers@1", "--remote", remote).code == 2
    erased = mlops("snapshots", "push", "--erase", "--remote", remote)
    assert "Erased on" in erased.out
    assert mlops("snapshots", "push", "customers@1", "--remote", remote).code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("customers", "--key", "id"), "--key and --values belong together"),
        (("customers", "--rows-where", "id"), "names no column and value"),
        (("customers@1", "--column", "x"), "all versions of a name"),
        (("customers", "--column", "x", "--rows-where", "id=1"), "give one of"),
        (("customers", "--column", "nope"), "There are: id, x"),
    ],
)
def test_what_purge_does_not_understand(
    mlops: Mlops, two: Project, options: tuple[str, ...], said: str
) -> None:
    done = mlops("snapshots", "purge", *options, "--yes")
    assert done.code == 2
    assert said in done.err
    assert len(existing_store(two).versions("customers")) == 2


def test_push_pull_and_clone(mlops: Mlops, two: Project, tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")
    assert mlops("snapshots", "push").code == 2  # No remote is configured.
    sent = mlops("snapshots", "push", "customers@*", "--remote", remote)
    assert sent.code == 0, sent.err
    assert "customers@1, customers@2" in sent.out
    assert mlops("snapshots", "push", "--remote", remote, "--json").json["new"] == 0
    brought = mlops("snapshots", "pull", "customers@1", "--remote", remote, "--as", "theirs")
    assert "theirs@1" in brought.out
    assert restore(two, "theirs@1").x[5] == 0.5
    again = mlops("snapshots", "clone", remote, "--json").json
    assert {v["spec"] for v in again.get("versions", [])} <= {"customers@1", "customers@2"}


def test_pull_of_what_a_pipeline_names(mlops: Mlops, two: Project, tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")
    file = tmp_path / "raw.csv"
    file.write_text("a,b\n1,2\n")
    take(two, file, "raw/file.csv")
    take(two, pd.DataFrame({"x": [1]}), "proved")
    assert mlops("snapshots", "push", "--remote", remote).code == 0
    folder = two.pipelines / "churn"
    folder.mkdir(parents=True)
    (folder / "train.ipynb").write_text("{}")
    (folder / "pipeline.yaml").write_text(
        "name: churn\nversion: 1\nsteps:\n- {name: train, notebook: train.ipynb}\n"
        "parameters:\n"
        "  data: {default: 'snapshot://customers@1.csv'}\n"
        "  more: {default: ['snapshot://raw/file.csv']}\n"
        "  rate: {default: 0.1}\n"
    )
    shutil.rmtree(two.state / "snapshots")
    ask = ("snapshots", "pull", "--pipeline", "churn", "--json")
    brought = mlops(*ask, "--remote", remote)
    assert brought.code == 0, brought.err + brought.out
    specs = {version["spec"] for version in brought.json["versions"]}
    assert specs == {"customers@1", "raw/file.csv@1"}
    proof = {"snapshots": ["proved@1"], "sources": [{"snapshot": "customers@2"}, {"path": "x"}]}
    (folder / "proof.json").write_text(json.dumps(proof))
    assert mlops(*ask, "--remote", remote).json["new"] == 2
    assert mlops(*ask, "--remote", remote).json["new"] == 0
    assert restore(two, "proved").x[0] == 1
    (folder / "proof.json").write_text('{"snapshots": ["proved@9"]}')
    missing = mlops("snapshots", "pull", "--pipeline", "churn", "--remote", remote)
    assert missing.code == 2
    assert "proved@9 is not on" in missing.err
    (folder / "proof.json").write_text("{")
    assert "proof.json cannot be read" in mlops("snapshots", "pull", "--pipeline", "churn").err
    text = (folder / "pipeline.yaml").read_text()
    (folder / "pipeline.yaml").write_text(text.partition("parameters")[0])
    (folder / "proof.json").unlink()
    assert "names no snapshots" in mlops("snapshots", "pull", "--pipeline", "churn").out


def test_diff(mlops: Mlops, two: Project, tmp_path: Path) -> None:
    done = mlops("diff", "customers@1", "customers")
    assert done.code == 0
    assert "customers@1 and customers@2 differ: 1 row changed in 1 cell." in done.out
    assert "  ~ row 5  x: 0.5 -> 9.0" in done.out
    assert mlops("diff", "customers@1", "customers", "--exit-code").code == 1
    assert mlops("diff", "customers", "customers@2", "--exit-code").code == 0
    data = mlops("diff", "customers@1", "customers", "--key", "id", "--json").json
    assert data["counts"]["cells_changed"] == 1
    assert data["rows"][0]["key"] == {"id": 5}
    assert data["rows"][0]["cells"] == {"x": [0.5, 9.0]}
    assert "~ row" not in mlops("diff", "customers@1", "customers", "--rows", "0").out
    page = tmp_path / "d.html"
    assert mlops("diff", "customers@1", "customers", "--html", str(page)).code == 0
    assert "mlops-diff" in page.read_text()
    assert mlops("diff", "customers@1", "customers", "--html", str(page)).code == 2
    wrong = mlops("diff", "customers@1", "customers", "--key", "nope")
    assert wrong.code == 2
    assert "not a column of both" in wrong.err
    assert mlops("diff", "customers@1", "nope", "--json").json["error"]["reason"] == "not_found"
    json.dumps(data, allow_nan=False)


def test_diff_with_a_file(mlops: Mlops, project: Project) -> None:
    path = project.root / "t.csv"
    path.write_text("a\n1\n")
    take(project, path, "t")
    path.write_text("a\n2\n")
    done = mlops("diff", "t", "./t.csv")
    assert "-1" in done.out.splitlines()
    assert "+2" in done.out.splitlines()
    assert mlops("diff", "t", "./nope.csv").code == 2
