"""The engine under papermill: same results, true states, nothing left behind by signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from papermill.engines import papermill_engines

from jupyter_mlops.integrations import engine_client
from jupyter_mlops.integrations.engine import MlopsEngine

from .bench import ended

ENGINE = "jupyter_mlops"


@pytest.fixture(autouse=True)
def registered() -> None:
    papermill_engines.register(ENGINE, MlopsEngine)


def write(path: Path, *cells: str, tags: dict[int, str] | None = None) -> Path:
    node = new_notebook(cells=[new_markdown_cell("# Title"), *map(new_code_cell, cells)])
    node.metadata["kernelspec"] = {"name": "python3", "display_name": "x", "language": "python"}
    for index, tag in (tags or {}).items():
        node.cells[index].metadata["tags"] = [tag]
    nbformat.write(node, path)
    return path


def code(path: Path) -> list[Any]:
    node = nbformat.read(path, as_version=4)
    nbformat.validate(node)
    return [cell for cell in node.cells if cell.cell_type == "code"]


def test_the_entry_point_names_the_engine() -> None:
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    points = tomllib.loads(pyproject.read_text())["project"]["entry-points"]
    module, _, name = points["papermill.engine"][ENGINE].partition(":")
    assert getattr(sys.modules[module], name) is MlopsEngine


def comparable(path: Path) -> Any:
    """A notebook without times, ids and our additions; one output for what one stream printed."""
    node = json.loads(json.dumps(nbformat.read(path, as_version=4)))
    node["metadata"].pop("mlops", None)
    for holder in (node, *node["cells"]):
        record = holder["metadata"].get("papermill", {})  # papermill's marks have none
        for key in ("start_time", "end_time", "duration"):
            assert not record or key in record
            record.pop(key, None)
        record.pop("output_path", None)
    for cell in node["cells"]:
        cell.pop("id")
        cell["metadata"].pop("mlops", None)
        execution = cell["metadata"].pop("execution", None)
        assert (execution is None) == (not cell["source"].strip() or "outputs" not in cell)
        joined: list[Any] = []
        for output in cell.get("outputs", []):
            last = joined[-1] if joined else {}
            if output.get("name") and output.get("name") == last.get("name"):
                last["text"] += output["text"]
            else:
                joined.append(output)
        cell["outputs"] = joined
    return node


def test_the_notebook_equals_papermills(tmp_path: Path) -> None:
    source = write(
        tmp_path / "in.ipynb",
        "C = 1\nname = 'x'",
        "print(C, name)\nimport sys; print('e', file=sys.stderr)",
        "from IPython.display import display, clear_output, HTML\n"
        "print('gone')\nclear_output()\nh = display('first', display_id='d')\nHTML('<b>1\\n2</b>')",
        "h.update('second')\n{'a': 1}",
        "",
        "1 / 0",
        tags={1: "parameters", 6: "raises-exception"},
    )
    parameters = {"C": 0.5, "name": 'q " \\ é\n', "more": [1, None, {"k": float("nan")}]}
    results = []
    for engine in (ENGINE, "nbclient"):
        output = tmp_path / f"{engine}.ipynb"
        # The last error is allowed for the engines, papermill itself stops at it.
        with pytest.raises(papermill.PapermillExecutionError, match="ZeroDivisionError"):
            papermill.execute_notebook(
                source, output, parameters, engine_name=engine, progress_bar=False
            )
        results.append(comparable(output))
    ours, theirs = results
    theirs["metadata"]["papermill"]["exception"] = ours["metadata"]["papermill"]["exception"]
    assert ours == theirs


def test_a_kernel_that_dies_fails_the_run(tmp_path: Path) -> None:
    """papermill's own engine writes that all cells are completed."""
    source = write(tmp_path / "in.ipynb", "x = 1", "import os; os.kill(os.getpid(), 9)", "y = 2")
    with pytest.raises(papermill.PapermillExecutionError, match="ended by SIGKILL"):
        papermill.execute_notebook(
            source, tmp_path / "out.ipynb", engine_name=ENGINE, progress_bar=False
        )
    cells = code(tmp_path / "out.ipynb")
    assert [c.metadata.papermill.status for c in cells] == ["completed", "failed", "pending"]
    assert [c.metadata.mlops.state for c in cells] == ["completed", "died", "not run"]


def test_papermills_options(tmp_path: Path) -> None:
    source = write(tmp_path / "in.ipynb", "print('printed')", "while True: pass")
    raises = pytest.raises(papermill.PapermillExecutionError, match="did not finish within 1 s")
    with (tmp_path / "stdout").open("w") as stdout, raises:
        papermill.execute_notebook(
            source,
            tmp_path / "out.ipynb",
            engine_name=ENGINE,
            progress_bar=False,
            stdout_file=stdout,
            execution_timeout=1,
            log_output=True,
            cwd=tmp_path,
        )
    assert (tmp_path / "stdout").read_text() == "printed\n"
    assert code(tmp_path / "out.ipynb")[1].metadata.mlops.state == "timed out"


@pytest.mark.parametrize(
    ("options", "states"),
    [
        ({"allow_errors": True}, ["completed", "completed", "completed"]),
        ({"allow_error_names": ["ZeroDivisionError"]}, ["completed", "failed", "not run"]),
        ({"allow_errors": True, "force_raise_errors": True}, ["failed", "not run", "not run"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_nbclients_options_that_allow_errors(
    tmp_path: Path, options: dict[str, Any], states: list[str]
) -> None:
    """papermill itself raises in the end for errors that were allowed, with both engines."""
    source = write(tmp_path / "in.ipynb", "1 / 0", "{}['x']", "y = 2", tags={1: "raises-exception"})
    output = tmp_path / "out.ipynb"
    with pytest.raises(papermill.PapermillExecutionError, match=r"KeyError|ZeroDivision"):
        papermill.execute_notebook(
            source, output, engine_name=ENGINE, progress_bar=False, **options
        )
    assert [cell.metadata.mlops.state for cell in code(output)] == states


@pytest.mark.parametrize(
    ("swallows", "limits", "state", "said"),
    [
        (99, {"execution_timeout": 0.5}, "timed out", "the cell did not finish within 0.5 s"),
        (99, {"execution_timeout": 0.5, "timeout": 0.8}, "timed out", "within 0.8 s"),
        (2, {"execution_timeout": 1.0}, "completed", ""),
    ],
    ids=["swallowed for ever", "longer than the notebook's limit", "swallowed twice"],
)
def test_a_cell_that_swallows_its_interrupt(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    swallows: int,
    limits: dict[str, float],
    state: str,
    said: str,
) -> None:
    """nbclient interrupts it again and again, and waits for ever."""
    monkeypatch.setattr(engine_client, "_GRACE", 0.5)
    source = write(
        tmp_path / "in.ipynb",
        f"import time\nfor n in range({swallows}):\n"
        "    try:\n        time.sleep(60)\n    except KeyboardInterrupt:\n        print(n)",
        "y = 2",
    )
    output = tmp_path / "out.ipynb"

    def execute() -> None:
        papermill.execute_notebook(
            source,
            output,
            engine_name=ENGINE,
            progress_bar=False,
            interrupt_on_timeout=True,
            **limits,
        )

    if said:
        with pytest.raises(papermill.PapermillExecutionError, match=said):
            execute()
    else:
        execute()
    first, second = code(output)
    assert first.metadata.mlops.state == state
    assert first.outputs[0].text.startswith("0\n")
    assert second.metadata.mlops.state == ("not run" if said else "completed")
    assert first.metadata.mlops.get("interrupted") == (
        None if "timeout" in limits else limits["execution_timeout"]
    )


CHILD = """
import sys, papermill
from papermill.engines import papermill_engines
from jupyter_mlops.integrations.engine import MlopsEngine
papermill_engines.register("jupyter_mlops", MlopsEngine)
papermill.execute_notebook(
    sys.argv[1], sys.argv[2], engine_name="jupyter_mlops", progress_bar=False
)
"""
SLEEPS = (
    "import os, subprocess, time\n"
    "sleep = ['sleep', '600']\n"
    "children = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]\n"
    "shell = subprocess.Popen(['sh', '-c', 'sleep 600 & echo $!; wait'], text=True,\n"
    "    stdout=subprocess.PIPE, start_new_session=True)\n"
    "children.append(shell)\n"
    "pids = [os.getpid(), *[c.pid for c in children], int(shell.stdout.readline())]\n"
    "open('pids', 'w').write(' '.join(map(str, pids)) + '.')"
)


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGTERM, -15), (signal.SIGINT, -2), (signal.SIGKILL, -9)]
)
def test_a_signal_to_the_runner(tmp_path: Path, number: int, exit_code: int) -> None:
    """papermill: after SIGTERM the cell stays ``running`` and the kernel lives on for seconds.

    After kill -9 the kernel finds out within a second or two, and what it has started lives on.
    """
    source = write(
        tmp_path / "in.ipynb",
        SLEEPS,
        "try:\n    time.sleep(600)\nfinally:\n    print('cleaned up')",
        "y = 2",
    )
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(source), str(tmp_path / "out.ipynb")],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    pids = wait_for(tmp_path / "pids")
    time.sleep(0.5)  # into the second cell
    child.send_signal(number)
    assert child.wait(60) == exit_code
    if number == signal.SIGKILL:
        wait_until_ended(pids)
        return
    assert all(ended(pid) for pid in pids)
    cells = code(tmp_path / "out.ipynb")
    assert [c.metadata.mlops.state for c in cells] == ["completed", "cancelled", "not run"]
    assert [c.metadata.papermill.status for c in cells] == ["completed", "failed", "pending"]
    assert cells[1].outputs[0].text == "cleaned up\n"
    assert nbformat.read(tmp_path / "out.ipynb", 4).metadata.mlops.state == "cancelled"


def wait_for(path: Path) -> list[int]:
    while not path.exists() or not path.read_text().endswith("."):
        time.sleep(0.05)
    return [int(word) for word in path.read_text().rstrip(".").split()]


def wait_until_ended(pids: list[int]) -> None:
    while not all(ended(pid) for pid in pids):
        time.sleep(0.05)
