"""A cell that a secret was taken out of is not promoted, and no secret gets into a pipeline."""

from __future__ import annotations

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import NotebookError, ReplayDiffersError
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import promote

from .test_promote import pipelines, record, write

SECRET = "hunter2-correct"
CONNECT = ("c1", f'api_key = "{SECRET}"\nn = len(api_key)')
TRACKED = ("c2", "%%track\nscore = n / 2")


def test_a_cell_with_a_secret_is_refused_by_name(project: Project) -> None:
    notebook = write(project.root / "nb.ipynb", [CONNECT, TRACKED])
    record(project, notebook, [("c0", "import math"), CONNECT, TRACKED], metrics={"score": 7.5})
    with pytest.raises(NotebookError) as caught:
        promote(project, Config(), notebook)
    assert "cell [2]" in caught.value.message
    assert "api_key" in caught.value.message
    assert 'os.environ["API_KEY"]' in str(caught.value.hint)
    assert SECRET not in str(caught.value.to_dict())
    assert pipelines(project) == []


def test_the_tracked_cell_itself(project: Project) -> None:
    cell = ("c1", f'%%track\npassword = "{SECRET}"\nscore = 1.5')
    notebook = write(project.root / "nb.ipynb", [cell])
    record(project, notebook, [cell], metrics={"score": 1.5})
    with pytest.raises(NotebookError, match=r"cell \[1\]"):
        promote(project, Config(), notebook)


def test_a_cell_that_the_result_does_not_need_may_have_one(project: Project) -> None:
    cells = [CONNECT, ("c3", "a = 3"), ("c4", "%%track\nscore = a / 2")]
    notebook = write(project.root / "nb.ipynb", cells)
    record(project, notebook, cells, metrics={"score": 1.5})
    promotion = promote(project, Config(), notebook)
    assert promotion.kept == 2
    written = [path for path in promotion.folder.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


def test_all_cells_are_not_tried_where_one_had_a_secret(project: Project) -> None:
    cells = [CONNECT, ("c3", "a = 3"), ("c4", "%%track\nscore = a / 2")]
    notebook = write(project.root / "nb.ipynb", cells)
    record(project, notebook, cells, metrics={"score": 99.0})
    with pytest.raises(ReplayDiffersError):
        promote(project, Config(), notebook)
    assert pipelines(project) == []
