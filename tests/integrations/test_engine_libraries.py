"""Rows of the table about what runs in the cells: pools, native threads, models, torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_mlops.warm import end_zygotes, ensure_zygote

from ..warm.test_libraries import CASES, EXPECTED
from .bench import Bench
from .engine_kinds import KINDS, OWNER, KindBench, heavy, ready_zygote

LIGHT = ("threads", "fork", "spawn", "await", "subprocess", "native_output", "sqlite_and_ssl")
HEAVY = tuple(name for name in CASES if name not in (*LIGHT, "threads_are_back"))
MODULES = ("joblib", "lightgbm", "numpy", "pandas", "pyarrow.parquet", "sklearn.ensemble",
           "xgboost")  # fmt: skip
# What imported a thing first must not decide what a later cell gets.
ORDERS = {"forwards": 1, "backwards": -1}


def run_cases(bench: Bench, names: tuple[str, ...]) -> None:
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # with it ipykernel leaves native output alone
    bench.write(*[CASES[name].strip() for name in names])
    result = bench.execute(cell_timeout=120)
    assert result.status == "completed", result.error
    shown = [
        "".join(output.text for output in cell.outputs if output.output_type == "stream")
        for cell in bench.code
    ]
    assert {name: text.strip() for name, text in zip(names, shown, strict=True)} == {
        name: EXPECTED[name] for name in names
    }


@heavy
def test_pools_and_processes(
    tmp_path: Path, engine_kind: str, plain_zygote: Callable[[], None]
) -> None:
    """papermill: the same."""
    if engine_kind != "cold":
        plain_zygote()
    run_cases(KindBench(tmp_path, engine_kind), LIGHT)


@pytest.fixture(scope="module")
def loaded_zygote() -> Iterator[None]:
    with ready_zygote(*MODULES):
        yield


@pytest.mark.full
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_models_with_native_threads(
    tmp_path: Path, kind: str, order: str, loaded_zygote: None
) -> None:
    """papermill: the same.  Each alone in a warm kernel: ``tests/warm/test_libraries.py``."""
    modules = MODULES if kind != "cold" else ()
    run_cases(KindBench(tmp_path, kind, modules), HEAVY[:: ORDERS[order]])


TORCH = (
    "import torch\ntorch.manual_seed(0)\n"
    "a = torch.randn(400, 400)\nprint(torch.allclose(a @ torch.linalg.inv(a), torch.eye(400),"
    " atol=1e-2))",
    "import os\nprint(torch.get_num_threads() == len(os.sched_getaffinity(0)))",
    "model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))\n"
    "X = torch.randn(512, 3)\ny = X.sum(1, keepdim=True)\n"
    "optimizer = torch.optim.Adam(model.parameters(), 0.05)\n"
    "for _ in range(200):\n    optimizer.zero_grad()\n"
    "    loss = torch.nn.functional.mse_loss(model(X), y)\n    loss.backward()\n"
    "    optimizer.step()\nprint(loss.item() < 0.05)",
    "from torch.utils.data import DataLoader, TensorDataset\n"
    "loader = DataLoader(TensorDataset(X, y), batch_size=64, num_workers=2)\n"
    "print(sum(len(batch[0]) for batch in loader) == 512)",
)


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_torch(tmp_path: Path, kind: str) -> None:
    """papermill: the same.  ``MLOPS_TORCH_PYTHON`` names a Python with torch and ipykernel."""
    interpreter = os.environ.get("MLOPS_TORCH_PYTHON", sys.executable)
    probe = subprocess.run([interpreter, "-c", "import torch, ipykernel"], capture_output=True)
    if probe.returncode:
        pytest.skip(f"{interpreter} has no torch: name one that has by MLOPS_TORCH_PYTHON")
    folder = Path(os.environ["JUPYTER_DATA_DIR"]) / "kernels" / "torch"
    folder.mkdir(parents=True)
    argv = [interpreter, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "torch", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    try:
        if kind != "cold":
            assert ensure_zygote(interpreter, ("torch",), OWNER).wait(240)
        bench = KindBench(tmp_path, kind, ("torch",))
        bench.write(*TORCH)
        result = bench.execute(kernel="torch", cell_timeout=240)
        assert result.status == "completed", result.error
        assert {cell.outputs[0].text for cell in bench.code} == {"True\n"}
        assert kind == "cold" or bench.choice.starts[0]["start"] in ("warm", kind)
    finally:
        end_zygotes(OWNER)
        (folder / "kernel.json").unlink()
        folder.rmdir()
