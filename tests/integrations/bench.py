"""A notebook, executed by the real executor in a real kernel."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from jupyter_mlops.model.ports import CellProgress, ExecutionResult
from jupyter_mlops.model.wiring import load_port

__all__ = ["Bench", "ended", "kernelspec"]


class Bench:
    """A folder with one notebook, executed into ``out/executed.ipynb``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source.ipynb"
        self.output = folder / "out" / "executed.ipynb"
        self.events: list[CellProgress] = []
        self.executor = load_port("executor")()

    def write(self, *cells: str, tags: Mapping[int, str] | None = None) -> None:
        node = new_notebook(cells=[new_markdown_cell("# Title"), *map(new_code_cell, cells)])
        for index, tag in (tags or {}).items():
            node.cells[index].metadata["tags"] = [tag]
        nbformat.write(node, self.source)

    def execute(self, parameters: Mapping[str, Any] | None = None, **options: Any) -> Any:
        chosen = {"kernel": None, "cwd": self.folder, "env": {}, "progress": self.events.append}
        result = self.executor.execute(
            self.source, self.output, parameters or {}, **(chosen | options)
        )
        assert isinstance(result, ExecutionResult)
        return result

    @property
    def executed(self) -> Any:
        node = nbformat.read(self.output, as_version=4)
        nbformat.validate(node)
        return node

    @property
    def states(self) -> list[str]:
        """papermill's state of each code cell; error markers are markdown."""
        return [
            c.metadata.papermill["status"] for c in self.executed.cells if c.cell_type == "code"
        ]

    @property
    def code(self) -> list[Any]:
        """The executed code cells."""
        return [c for c in self.executed.cells if c.cell_type == "code"]

    @property
    def ours(self) -> list[str]:
        """Our state of each code cell."""
        return [c.metadata.mlops["state"] for c in self.code]


def ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def kernelspec(name: str, code: str) -> Iterator[str]:
    """A kernel that runs ``python -c code`` is installed inside the block."""
    folder = Path(os.environ["JUPYTER_DATA_DIR"]) / "kernels" / name
    folder.mkdir(parents=True)
    spec = {"argv": [sys.executable, "-c", code], "display_name": name, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    try:
        yield name
    finally:
        (folder / "kernel.json").unlink()
        folder.rmdir()
