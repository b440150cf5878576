"""Pipelines and the snapshots of what they read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import NotFoundError, UsageError
from jupyter_mlops.model.events import InputRecord
from jupyter_mlops.pipelines import run_pipeline
from jupyter_mlops.pipelines.data import data_parameters
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import promote
from jupyter_mlops.snapshots.service import take

from .sessions import record, write

CELLS = [
    ("a", "from pathlib import Path\nsource = 'data/numbers.txt'"),
    ("b", "%%track\ntotal = sum(map(float, Path(source).read_text().split()))"),
]


def kept(project: Project) -> tuple[Path, Path]:
    """A notebook and its file, which a snapshot keeps."""
    notebook = write(project.root / "work" / "sums.ipynb", CELLS)
    file = notebook.parent / "data" / "numbers.txt"
    file.parent.mkdir()
    file.write_text("1 2 3.5")
    version = take(project, file, "numbers")
    read = InputRecord(
        "work/data/numbers.txt", "file", source="work/data/numbers.txt", how="opened",
        snapshot=version.spec,
    )  # fmt: skip
    record(project, notebook, CELLS, metrics={"total": 6.5}, inputs=[read])
    return notebook, file


def test_a_promotion_on_snapshots(project: Project) -> None:
    notebook, file = kept(project)
    file.write_text("1 2")  # changed since: the source gives another result, the snapshot does not
    promotion = promote(project, Config(), notebook, data="pinned")
    assert promotion.verdict == "equal"
    assert promotion.proof["data"] == "pinned"
    assert promotion.proof["snapshots"] == ["numbers@1"]
    (source,) = promotion.proof["sources"]
    assert (source["source"], source["parameter"], source["exact"]) == (
        "work/data/numbers.txt", "source", True,
    )  # fmt: skip
    # The source stays what it was.
    assert {p.name: p.default for p in promotion.parameters} == {"source": "data/numbers.txt"}

    # In a clone the file may be missing: the snapshot stands for it.
    defaults = {"source": "data/numbers.txt"}
    name, folder = promotion.name, promotion.folder
    assert data_parameters(project, name, folder, defaults, {}) == {}
    pinned = data_parameters(project, name, folder, defaults, {}, "pinned")
    assert Path(pinned["source"]).read_text() == "1 2 3.5"
    assert data_parameters(project, name, folder, defaults, {"source": "x"}, "pinned") == {}
    file.unlink()
    with pytest.raises(UsageError, match="no way 'both'"):
        data_parameters(project, name, folder, defaults, {}, "both")
    outcome = run_pipeline(project, Config(), name)
    assert outcome.metrics == {"total": 6.5}
    shutil.rmtree(project.state / "pinned")
    shutil.rmtree(project.state / "snapshots")
    with pytest.raises(NotFoundError, match="numbers@1") as caught:
        run_pipeline(project, Config(), name)
    assert caught.value.exit_code == 2
    assert caught.value.hint == "jupyter mlops snapshots pull --pipeline sums"


def test_data_that_no_snapshot_keeps(project: Project) -> None:
    notebook, file = kept(project)
    record(project, notebook, CELLS, metrics={"total": 6.5})
    with pytest.raises(UsageError, match=r"work/data/numbers\.txt cannot be pinned"):
        promote(project, Config(), notebook, data="pinned")
    assert not project.pipelines.exists()
    folder = project.root / "hand"
    folder.mkdir()
    source = {"source": "work/data/numbers.txt", "parameter": "source", "snapshot": None}
    (folder / "proof.json").write_text(
        json.dumps({"notebook": "work/sums.ipynb", "sources": [source]})
    )
    file.unlink()
    with pytest.raises(UsageError, match="is not here") as caught:
        data_parameters(project, "hand", folder, {"source": "data/numbers.txt"}, {})
    assert "-p source PATH" in (caught.value.hint or "")
    for text in ("[]", "{", '{"sources": 3}'):
        (folder / "proof.json").write_text(text)
        assert data_parameters(project, "hand", folder, {"source": "x"}, {}) == {}
