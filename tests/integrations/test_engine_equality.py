"""Our engine and papermill's own give equal notebooks, feature by feature.

The notebooks are our own, and show what papermill's and nbclient's test notebooks show; those
themselves are run by ``benchmarks/engine_equality.py``.
"""

from __future__ import annotations

import json
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from papermill.engines import papermill_engines

from jupyter_mlops.integrations.engine import MlopsEngine

from .engine_kinds import heavy, kernels_of

VOLATILE = re.compile(r"\\u001b\[[0-9;]*m|ipykernel_\d+|0x[0-9a-f]+|[0-9a-f]{32}|IPY_MODEL_\w+")
OVERWRITTEN = re.compile(r"[^\n]*\r+(?=[^\r\n])")
SKIP, RAISES = "skip-execution", "raises-exception"

# What one kernel can show after the other: (source, tag).
SHOWN: tuple[tuple[str, str | None], ...] = (
    ("print('naïve 😀 — ☃')\nimport sys\nprint('error', file=sys.stderr)", None),
    ("", None),
    ("   \n", None),
    ("print('left out')", SKIP),
    ("{'a': [1, 2]}", None),
    ("from IPython.display import HTML, Image, JSON, Markdown, SVG, display\nHTML('<b>x</b>\\ny')",
     None),
    ("SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"><g/></svg>')", None),
    ("display(Image(bytes.fromhex('89504e470d0a1a0a'), format='png'))\ndisplay(JSON({'k': [1]}))",
     None),
    ("display({'text/plain': 'raw', 'application/x+json': {'n': 1}}, raw=True,\n"
     "        metadata={'application/x+json': {'m': 2}})", None),
    ("from IPython.display import clear_output\nprint('gone')\nclear_output()\nprint('stays')",
     None),
    ("print('until the next')\nclear_output(wait=True)\nprint('next')", None),
    ("print('at the end')\nclear_output(wait=True)", None),
    ("handle = display('first', display_id='here')\ndisplay('second', display_id='there')", None),
    ("handle.update('changed')\ndisplay('both', display_id='there')", None),
    ("for n in range(5):\n    print(f'{n}0%\\r', end='')\nprint()", None),
    ("1 / 0", RAISES),
    ("def f(:", RAISES),
    ("raise KeyboardInterrupt", RAISES),
    ("input('name? ')", RAISES),
    ("%no_such_magic", RAISES),
    ("assert 1 == 2, 'said'", RAISES),
    ("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('two') from e", RAISES),
    ("import asyncio\nawait asyncio.sleep(0.01)\nawait asyncio.gather(asyncio.sleep(0, 7))", None),
    ("!echo from the shell", None),
    ("%%capture kept\nprint('captured')", None),
    ("kept.stdout", None),
    ("import os\nos.write(1, b'from the descriptor\\n')\nimport time; time.sleep(0.3)", None),
    ("import warnings\nwarnings.warn('take care')", None),
    ("import logging\nlogging.warning('logged')", None),
    ("get_ipython().history_manager.enabled = False\nlen(In)", None),
    ("len?", None),
    ("_i, _, __", None),
)  # fmt: skip
WIDGETS = (
    "import ipywidgets as w\nbox = w.VBox([w.IntSlider(7), w.Text('t')])\nbox",
    "out = w.Output()\nout",
    "with out:\n    print('caught')\n    display('shown')\nprint('outside')",
    "out.clear_output()\nwith out:\n    1 / 0",
    "box.children[0].value = 9\nbox.children[0].value",
    "from ipykernel.comm import Comm\nc = Comm('a.target', data={'x': 1})\nc.send({'y': 2})",
)
# Notebooks that end in another way, each alone.
ENDING = {
    "fails": ["x = 1", "x / 0", "print('not reached')"],
    "exits with an error": ["import sys\nsys.exit(1)", "print('not reached')"],
}


@pytest.fixture(autouse=True)
def _engines() -> Iterator[None]:
    papermill_engines.register("jupyter_mlops", MlopsEngine)
    before = logging.getLogger("papermill").level
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("papermill").setLevel(before)


def execute(folder: Path, node: Any, engine: str, **options: Any) -> Any:
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # with it ipykernel leaves native output alone
    source, output = folder / "in.ipynb", folder / "out.ipynb"
    nbformat.write(node, source)
    raised = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            papermill.execute_notebook(
                source, output, engine_name=engine, progress_bar=False, cwd=folder, **options
            )
        except papermill.PapermillExecutionError as error:
            raised = plain(f"{error.exec_count} {error.ename} {error.evalue} {error.cell_index}")
    executed = nbformat.read(output, as_version=4)
    nbformat.validate(executed)
    output.unlink()
    return raised, compared(executed)


@contextmanager
def few_interrupts() -> Iterator[None]:
    """Where nbclient would interrupt for ever a cell whose end it has missed, it gives up."""
    original, times = NotebookClient._async_handle_timeout, count(1)

    async def handle(self: Any, timeout: int, cell: Any = None) -> Any:
        if next(times) > 10:
            raise CellTimeoutError.error_from_timeout_and_cell("its end is missed", timeout, cell)
        return await original(self, timeout, cell)

    with patch.object(NotebookClient, "_async_handle_timeout", handle):
        yield


def by_papermill(folder: Path, node: Any, **options: Any) -> Any:
    """papermill's own engine, which now and then waits for ever for the end of a cell: again."""
    for attempt in range(3):
        try:
            with few_interrupts():
                return execute(folder, node, "nbclient", **{"execution_timeout": 60, **options})
        except CellTimeoutError:
            if attempt == 2:
                raise
    raise AssertionError


def plain(value: Any) -> Any:
    return json.loads(VOLATILE.sub("", json.dumps(value)))


def compared(node: Any) -> Any:
    """A notebook without times, ids and our additions."""
    widgets = node.metadata.pop("widgets", {})
    states = widgets.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    found: dict[str, Any] = {
        "widgets": sorted(
            json.dumps(plain([one["model_name"], one["state"]]), sort_keys=True)
            for one in states.values()
        ),
        "language": node.metadata["language_info"],
        "parameters": node.metadata["papermill"]["parameters"],
    }
    cells = []
    for cell in node.cells:
        record = cell.metadata.get("papermill", {})
        one = {key: cell.get(key) for key in ("cell_type", "source", "execution_count")}
        one |= {key: record.get(key) for key in ("status", "exception")}
        one["tags"] = cell.metadata.get("tags")
        outputs: list[Any] = []
        for output in plain(cell.get("outputs", [])):
            last = outputs[-1] if outputs else {}
            if output.get("name") and output.get("name") == last.get("name"):
                last["text"] += output["text"]  # one output for what one stream printed
            else:
                outputs.append(output)
        for output in outputs:
            if "text" in output:
                output["text"] = OVERWRITTEN.sub("", output["text"])
        cells.append({**one, "outputs": outputs})
    return {**found, "cells": cells}


def notebook(*cells: Any) -> Any:
    node = new_notebook(cells=[new_markdown_cell("# Title"), *cells, new_raw_cell("raw")])
    node.metadata["kernelspec"] = {"name": "python3", "display_name": "x", "language": "python"}
    return node


def assert_equal(folder: Path, node: Any, kind: str = "cold", **options: Any) -> Any:
    theirs = by_papermill(folder, node, **options)
    with kernels_of(kind):
        ours = execute(folder, node, "jupyter_mlops", **options)
    assert ours[0] == theirs[0]
    for one, other in zip(ours[1]["cells"], theirs[1]["cells"], strict=True):
        assert one == other
    assert ours == theirs
    return ours[1]


@pytest.fixture
def kind(engine_kind: str, plain_zygote: Callable[[], None]) -> str:
    if engine_kind != "cold":
        plain_zygote()
    return engine_kind


@heavy
def test_what_cells_show(tmp_path: Path, kind: str) -> None:
    cells = [
        new_code_cell(source, metadata={"tags": [tag] if tag else []}) for source, tag in SHOWN
    ]
    executed = assert_equal(tmp_path, notebook(*cells), kind)
    assert sum(len(cell["outputs"]) for cell in executed["cells"]) > 25


@heavy
def test_widgets_and_comms(tmp_path: Path, kind: str) -> None:
    executed = assert_equal(tmp_path, notebook(*map(new_code_cell, WIDGETS)), kind)
    assert len(executed["widgets"]) > 6


@pytest.mark.parametrize("name", ENDING)
def test_how_notebooks_end(tmp_path: Path, name: str) -> None:
    assert_equal(tmp_path, notebook(*map(new_code_cell, ENDING[name])), parameters={"x": 5})


def test_options_and_an_older_format(tmp_path: Path) -> None:
    node = notebook(
        new_code_cell("a = 1\nb: 'int' = 2", metadata={"tags": ["parameters"]}),
        new_code_cell("{}['missing']", metadata={"tags": [RAISES]}),
        new_code_cell("print(a, b)"),
    )
    node.nbformat_minor = 4
    for cell in node.cells:
        del cell["id"]
    options: dict[str, Any] = {"allow_errors": True, "report_mode": True}
    assert_equal(tmp_path, node, parameters={"a": [1, {"k": None}], "b": "é"}, **options)


SLEEPS = "import time\ntime.sleep(60)"
CATCHES = "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('caught')"


@heavy
def test_interrupts_at_a_cells_time_limit_and_another_tag(tmp_path: Path, kind: str) -> None:
    cells = ((SLEEPS, RAISES), (CATCHES, None), ("print('left out')", "slow"), ("6 * 7", SKIP))
    node = notebook(
        *(new_code_cell(code, metadata={"tags": [tag] if tag else []}) for code, tag in cells)
    )
    options: dict[str, Any] = {"execution_timeout": 1, "interrupt_on_timeout": True}
    executed = assert_equal(tmp_path, node, kind, skip_cells_with_tag="slow", **options)
    shown = [len(cell["outputs"]) for cell in executed["cells"] if cell["cell_type"] == "code"]
    assert shown == [1, 1, 0, 1]


def test_an_interrupt_that_nothing_allows_ends_the_notebook(tmp_path: Path) -> None:
    node = notebook(new_code_cell(SLEEPS), new_code_cell("print('not reached')"))
    assert_equal(tmp_path, node, execution_timeout=1, interrupt_on_timeout=True)
