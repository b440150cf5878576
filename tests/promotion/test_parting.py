"""A replay that gives something else names the first cell that did."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import ReplayDiffersError
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import promote
from jupyter_mlops.promotion.parting import Parting

from .test_real_session import Kernel, kernel, run, write

__all__ = ["kernel"]


def refused(
    project: Project, kernel: Kernel, cells: dict[str, str], change: Callable[[], object]
) -> ReplayDiffersError:
    notebook = write(project.root / "work" / "tumours.ipynb", cells)
    for name, source in cells.items():
        run(kernel, name, source)
    change()
    with pytest.raises(ReplayDiffersError) as caught:
        promote(project, Config(), notebook)
    assert caught.value.fields["differences"]
    assert not project.pipelines.exists()
    return caught.value


def test_a_file_that_changed_since(project: Project, kernel: Kernel) -> None:
    rows = project.root / "work" / "rows.txt"
    rows.write_text("3 4")
    cells = {
        "load": "%load_ext jupyter_mlops",
        "numbers": "numbers = [1, 2]",
        "read": "rows = [int(word) for word in open('rows.txt').read().split()]",
        "sum": "everything = rows + numbers",
        "b": "%%track\ntotal = sum(everything)",
    }
    error = refused(project, kernel, cells, lambda: rows.write_text("3 5"))
    assert error.fields["cell"] == {"seq": 3, "cell_id": "read", "names": ["rows"]}
    assert "total: tracked 10.0, replayed 11.0" in str(error)
    assert "gave something else is In [3]: rows (of type list)" in str(error)
    assert "rows.txt: see whether it is still the same" in (error.hint or "")


def test_the_time_of_day(project: Project, kernel: Kernel) -> None:
    cells = {
        "load": "%load_ext jupyter_mlops\nimport time",
        "fixed": "base = 3.0",
        "now": "began = time.time_ns() % 1_000_003",
        "age": "age = began / base",
        "b": "%%track\nhalf = age / 2",
    }
    error = refused(project, kernel, cells, lambda: None)
    assert error.fields["cell"] == {"seq": 3, "cell_id": "now", "names": ["began"]}
    assert "such as the time" in (error.hint or "")


def test_what_is_said() -> None:
    found = Parting(7, "c", {"rows": "list", "gone": ""}, ("rows.txt",))
    assert str(found) == (
        "the first cell that gave something else is In [7]: "
        "rows (of type list) and gone (not bound any more)"
    )
    assert "In [7] read rows.txt" in found.why
    assert "give a seed" in Parting(7, "c", {"rows": "list"}, (), True).why
