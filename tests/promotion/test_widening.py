"""Where the cells that a result seems to need are not enough."""

from __future__ import annotations

from jupyter_mlops.config import Config
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import promote
from jupyter_mlops.promotion.planning import slices_of
from jupyter_mlops.promotion.tracked import find_tracked

from .sessions import record, write

# What the garbage collector sees is in no name.
HIDDEN = [
    ("a", "import gc\nclass Box:\n    pass"),
    ("b", "box = Box()"),
    ("c", "idle = 1"),
    ("d", "%%track\nfound = sum(isinstance(o, Box) for o in gc.get_objects())"),
]


def test_all_cells_are_tried(project: Project) -> None:
    notebook = write(project.root / "hidden.ipynb", HIDDEN)
    record(project, notebook, HIDDEN, metrics={"found": 1.0})
    promotion = promote(project, Config(), notebook)
    assert promotion.verdict == "equal"
    assert (promotion.kept, promotion.dropped) == (4, 0)
    assert promotion.proof["widened"]
    why = "found: tracked 1.0, replayed 0.0"
    assert promotion.proof["widened_because"] == why
    assert any(why in warning for warning in promotion.warnings)


def test_what_was_seen_is_not_trusted_alone(project: Project) -> None:
    cells = [
        ("a", "def grow(v):\n    v.append(9)\nxs = [x for x in range(3)]"),
        ("b", "grow(xs)"),
        ("c", "idle = 1"),
        ("d", "%%track\ntotal = sum(xs)"),
    ]
    notebook = write(project.root / "seen.ipynb", cells)
    seen = {"v": 1, "unchanged": ["xs", "grow"], "functions": [], "loads": [], "watched": []}
    record(project, notebook, cells, metrics={"total": 12.0}, evidence={2: seen})
    slices = slices_of(find_tracked(project, notebook))
    assert [cut.indices for cut in slices] == [(0, 3), (0, 1, 3), (0, 1, 2, 3)]


def test_a_cell_that_ran_twice_is_there_twice(project: Project) -> None:
    import nbformat

    cells = [("a", "x = [v for v in range(2)]"), ("b", "x = [v * 2 for v in x]"),
             ("c", "%%track\ntotal = sum(x)")]  # fmt: skip
    notebook = write(project.root / "twice.ipynb", cells)
    record(project, notebook, [cells[0], cells[1], cells[1], cells[2]], metrics={"total": 4.0})
    promotion = promote(project, Config(), notebook)
    assert promotion.verdict == "equal"
    document = nbformat.read(promotion.folder / "main.ipynb", as_version=4)
    twice = [c for c in document.cells if c.source.startswith("x = [v * 2")]
    assert [c.metadata.get("name") for c in twice] == [None, "b-2"]
    assert len({c.id for c in document.cells}) == len(document.cells)
