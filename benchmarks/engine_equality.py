"""papermill's and nbclient's own test notebooks, by papermill's engine and by ours.

``python benchmarks/engine_equality.py FOLDER...`` takes the notebooks in folders: unpack the source
distributions (``pip download --no-deps --no-binary :all: papermill nbclient``) and give
``papermill-*/papermill/tests/notebooks`` and ``nbclient-*/tests/files``.  It prints what differs in
outputs, counts, states and widgets; addresses, ids and times of day are not compared, and text of
one stream counts as one output.  Expected to differ: a kernel that is killed and a cell that is out
of time (papermill says that all cells are completed), ``sys.exit(0)`` (papermill says failed), and
what prints the time.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

TIMEOUT = 20  # seconds for a cell: some of the notebooks never end
VOLATILE = re.compile(
    r"\\u001b\[[0-9;]*m|ipykernel_\d+|<ipython-input[^>]*>|0x[0-9a-f]+|[0-9a-f]{32}|IPY_MODEL_\w+"
)
OVERWRITTEN = re.compile(r"[^\n]*\r+(?=[^\r\n])")


def main() -> None:
    import papermill
    from papermill.engines import papermill_engines

    from jupyter_mlops.integrations.engine import MlopsEngine

    warnings.simplefilter("ignore")
    for name in ("papermill", "traitlets"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    papermill_engines.register("jupyter_mlops", MlopsEngine)
    notebooks = sorted(path for folder in sys.argv[1:] for path in Path(folder).glob("*.ipynb"))
    assert notebooks, "give folders with notebooks"
    equal = 0
    for notebook in notebooks:
        results = []
        for engine in ("nbclient", "jupyter_mlops"):
            folder = Path(tempfile.mkdtemp(prefix="equality"))
            output = folder / "out.ipynb"
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
                )
                raised = ""
            except Exception as error:
                raised = f"{type(error).__name__}: {plain(str(error))[:300]}"
            results.append((raised, *read(output)))
            shutil.rmtree(folder, ignore_errors=True)
        if results[0] == results[1]:
            equal += 1
            continue
        print(f"{notebook.name} differs")
        for theirs, ours in zip(*results, strict=True):
            if theirs != ours:
                print(f"    theirs {str(theirs)[:400]}\n    ours   {str(ours)[:400]}", flush=True)
    print(f"{equal} of {len(notebooks)} notebooks equal")


def plain(value: Any) -> Any:
    """A value without what is another in each run."""
    return json.loads(VOLATILE.sub("", json.dumps(value)))


def read(path: Path) -> tuple[Any, ...]:
    """What is compared of an executed notebook."""
    import nbformat

    if not path.exists():
        return ([], [])
    node = nbformat.read(path, as_version=4)
    cells = []
    for cell in node.cells:
        record = cell.metadata.get("papermill", {})
        joined: list[Any] = []
        for output in plain(cell.get("outputs", [])):
            last = joined[-1] if joined else {}
            if output.get("name") and output.get("name") == last.get("name"):
                last["text"] += output["text"]
            else:
                joined.append(output)
        for output in joined:
            if "text" in output:
                output["text"] = OVERWRITTEN.sub("", output["text"])
        states = (record.get("status"), record.get("exception"))
        cells.append((cell.source, cell.get("execution_count"), joined, *states))
    saved = node.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    return cells, sorted(str(entry["model_name"]) for entry in saved.get("state", {}).values())


if __name__ == "__main__":
    main()
