"""papermill's and nbclient's own test notebooks, by papermill's engine and by ours.

``python benchmarks/engine_equality.py [FOLDER]`` fetches the source distributions of the installed
versions of both into a folder (default: one that is removed again; not fetched twice), executes
each notebook with both engines, with the options that its own test gives it, and prints a Markdown
table of those that differ and why.  Compared are sources, counts, outputs, papermill's states,
widgets and what is raised; not compared are addresses, ids, colours and times of day, and text of
one stream counts as one output.  Exits with 1 when a notebook differs for no known reason.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

ENGINES = ("nbclient", "jupyter_mlops")
PLACES = {"papermill": "papermill/tests/notebooks", "nbclient": "tests/files"}
TIMEOUT = 10  # seconds for a cell: two of the notebooks never end
VOLATILE = re.compile(
    r"\\u001b\[[0-9;]*m|ipykernel_\d+|<ipython-input[^>]*>|0x[0-9a-f]+|[0-9a-f]{32}|IPY_MODEL_\w+"
    r"|\d{4}-\d\d-\d\dT[\d:.]+Z?"
)
OVERWRITTEN = re.compile(r"[^\n]*\r+(?=[^\r\n])")
MARKS = ("papermill-error-cell", "An Exception was encountered")
# The options that the notebook's own test gives it.
OPTIONS: dict[str, dict[str, Any]] = {
    "Disable Stdin.ipynb": {"allow_errors": True},
    "Skip Exceptions.ipynb": {"allow_errors": True},
}
TOGETHER = ("Parallel Execute A.ipynb", "Parallel Execute B.ipynb")
FILES = {"read_check.ipynb": "check.txt"}  # that its test makes in the working folder
# Where papermill says of a run what is not true, only what it says differs, not the outputs.
DEATH = "the kernel is killed: papermill says `completed` of the cells"
LIMIT = "a time limit passes: papermill says `completed` of all cells"
EXIT = "ends the notebook by SystemExit without an error: papermill says `failed`"
SAID_OTHERWISE = {
    "Autokill.ipynb": DEATH,
    "Interrupt.ipynb": LIMIT,
    "keyboard_interrupt.ipynb": LIMIT,
    "sysexit.ipynb": EXIT,
    "sysexit0.ipynb": EXIT,
    "systemexit.ipynb": EXIT,
}
OURS = ("DeadKernelError", "TimeoutError")  # outputs that say why we ended the cell


@dataclass
class Executed:
    """What is compared of an execution."""

    raised: str
    cells: list[Any]
    states: list[Any]
    widgets: list[str]


def main(folder: Path) -> int:
    quiet()
    notebooks = [path for name in PLACES for path in sorted(fetch(name, folder).glob("*.ipynb"))]
    equal, said, differ = 0, 0, 0
    print("| notebook | equal | why not |\n|---|---|---|")
    for notebook in notebooks:
        theirs, ours = (execute(notebook, engine) for engine in ENGINES)
        reason = SAID_OTHERWISE.get(notebook.name)
        if theirs == ours:
            equal += 1
        elif reason is not None and theirs.cells == ours.cells and theirs.widgets == ours.widgets:
            said += 1
            print(f"| {notebook.name} | outputs | {reason} |")
        else:
            differ += 1
            print(f"| {notebook.name} | no | {first_difference(theirs, ours)} |", flush=True)
    print(f"\n{equal} of {len(notebooks)} equal, {said} equal in outputs, {differ} not")
    return 1 if differ else 0


def fetch(name: str, folder: Path) -> Path:
    """The test notebooks of an installed package."""
    whole = f"{name}-{version(name)}"
    if not (folder / whole).is_dir():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            ":all:",
        ]
        subprocess.run([*command, "-d", folder, f"{name}=={version(name)}"], check=True)
        with tarfile.open(folder / f"{whole}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return folder / whole / PLACES[name]


def quiet() -> None:
    """Let only the table be printed."""
    from papermill.engines import papermill_engines

    from jupyter_mlops.integrations.engine import MlopsEngine

    warnings.simplefilter("ignore")
    for name in ("papermill", "traitlets"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    papermill_engines.register("jupyter_mlops", MlopsEngine)


def execute(notebook: Path, engine: str) -> Executed:
    """One notebook by one engine, both in the same empty folder."""
    folder = Path(tempfile.gettempdir()) / f"equality-{os.getpid()}"
    folder.mkdir()
    try:
        if notebook.name in FILES:
            (folder / FILES[notebook.name]).touch()
        if notebook.name in TOGETHER:
            return execute_beside_the_other(notebook, engine, folder)
        return execute_in(folder, notebook, engine)
    finally:
        shutil.rmtree(folder)


def execute_beside_the_other(notebook: Path, engine: str, folder: Path) -> Executed:
    """Each of the two waits for what the other writes."""
    other = next(name for name in TOGETHER if name != notebook.name)
    env = {**os.environ, "NBEXECUTE_TEST_PARALLEL_TMPDIR": str(folder)}
    running = subprocess.Popen(
        [sys.executable, __file__, "--beside", str(notebook.with_name(other)), engine],
        env=env,
        stderr=subprocess.DEVNULL,
    )
    os.environ.update(env)
    try:
        return execute_in(folder, notebook, engine)
    finally:
        del os.environ["NBEXECUTE_TEST_PARALLEL_TMPDIR"]
        running.wait(60)


def execute_in(folder: Path, notebook: Path, engine: str) -> Executed:
    import papermill

    output = folder / "out.ipynb"
    raised = ""
    try:
        papermill.execute_notebook(
            notebook,
            output,
            kernel_name="python3",
            language="python",
            engine_name=engine,
            progress_bar=False,
            cwd=folder,
            execution_timeout=TIMEOUT,
            **OPTIONS.get(notebook.name, {}),
        )
    except Exception as error:
        raised = f"{type(error).__name__}: {plain(str(error))[:300]}"
    return read(output, raised)


def plain(value: Any) -> Any:
    """A value without what is another in each run."""
    return json.loads(VOLATILE.sub("", json.dumps(value)))


def read(path: Path, raised: str) -> Executed:
    import nbformat

    if not path.exists():
        return Executed(raised, [], [], [])
    node = nbformat.read(path, as_version=4)
    cells, states = [], []
    for cell in node.cells:
        record = cell.metadata.get("papermill", {})
        states.append((record.get("status"), record.get("exception"), cell.source[:40]))
        if any(mark in cell.source for mark in MARKS):
            continue
        outputs = [out for out in joined(cell) if out.get("ename") not in OURS]
        cells.append((cell.source, cell.get("execution_count"), outputs))
    saved = node.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    widgets = sorted(str(entry["model_name"]) for entry in saved.get("state", {}).values())
    return Executed(raised, cells, states, widgets)


def joined(cell: Mapping[str, Any]) -> list[Any]:
    """A cell's outputs; one for what one stream printed."""
    found: list[Any] = []
    for output in plain(cell.get("outputs", [])):
        last = found[-1] if found else {}
        if output.get("name") and output.get("name") == last.get("name"):
            last["text"] += output["text"]
        else:
            found.append(output)
    for output in found:
        if "text" in output:
            output["text"] = OVERWRITTEN.sub("", output["text"])
    return found


def first_difference(theirs: Executed, ours: Executed) -> str:
    def pairs() -> Iterator[tuple[Any, Any]]:
        yield theirs.raised, ours.raised
        yield len(theirs.cells), len(ours.cells)
        yield from zip(theirs.cells, ours.cells, strict=False)
        yield theirs.states, ours.states
        yield theirs.widgets, ours.widgets

    one, other = next((a, b) for a, b in pairs() if a != b)
    return f"theirs {one!r:.300} ours {other!r:.300}".replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--beside"]:
        quiet()
        with tempfile.TemporaryDirectory() as place:
            execute_in(Path(place), Path(sys.argv[2]), sys.argv[3])
    elif sys.argv[1:]:
        sys.exit(main(Path(sys.argv[1]).resolve()))
    else:
        with tempfile.TemporaryDirectory() as place:
            sys.exit(main(Path(place)))
