"""The step cache with real kernels: native readers, random states of libraries."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jupyter_mlops.model.wiring import load_port
from jupyter_mlops.project import Project

from .lab import Lab

WRITE = "with open(out, 'w') as file:\n    file.write(str(value))"


@pytest.fixture
def lab(project: Project) -> Lab:
    return Lab(project, load_port("executor")())


def write(path: Path, *values: int) -> None:
    pq.write_table(pa.table({"a": list(values)}), path)
    os.utime(path, (1, 1))


def test_a_file_that_only_native_code_opens(lab: Lab) -> None:
    data = lab.project.root / "data.parquet"
    write(data, 1, 2)
    lab.one(
        "import pyarrow.parquet as pq\nfrom pathlib import Path\n"
        "name = 'da' + 'ta.parquet'\ntotal = sum(pq.read_table(str(name))['a'].to_pylist())",
        "with open(out, 'w') as file:\n    file.write(str(total))\ntotal",
    )
    kept, why = lab.kept()
    assert kept, why
    (step,), folder = lab.run()
    assert step.status == "cached"
    assert (folder / "only" / "out.txt").read_text() == "3"
    write(data, 10, 20)
    (step,), folder = lab.run()
    assert step.status == "finished"
    assert step.cache is not None
    assert "data.parquet, which it read, changed" in step.cache["why"][0]
    assert (folder / "only" / "out.txt").read_text() == "30"


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        (
            "np.random.seed(0)\nx = np.random.rand(312)\nrng = np.random.default_rng(1)\n"
            "y = np.random.RandomState(0)",
            True,
        ),
        ("x = np.random.rand(312)", False),  # as many as bring the state's place back
    ],
)
def test_numpys_randomness(lab: Lab, cell: str, kept: bool) -> None:
    lab.one(f"import numpy as np\n{cell}", WRITE)
    assert lab.kept()[0] == kept
