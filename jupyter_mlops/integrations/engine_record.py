"""What an executed notebook says of its run: papermill's metadata, and ours beside it.

papermill knows ``pending``, ``running``, ``completed`` and ``failed``; its keys keep that meaning,
and nothing is completed that was not.  The key ``mlops`` of a code cell's metadata says the rest:

- ``state``: ``completed``, ``failed``, ``timed out``, ``died``, ``cancelled``, ``skipped`` or
  ``not run``;
- ``wall`` and ``cpu`` in seconds, ``peak_memory`` in bytes (all processes of the kernel);
- ``signal`` that killed the kernel, ``allowed_error`` that a tag allows, ``output_cut``;
- ``interrupted``: the cell's time limit in seconds, where reaching it was no failure by itself.

``mlops`` of the notebook's metadata has the same for all cells together, ``error``, and how the
``kernel`` was started.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from .engine_processes import Usage
from .engine_saves import Saver
from .engine_skips import SKIP_TAG, runs

__all__ = ["Record", "prepare"]

_STATES = {"failed": "failed", "timeout": "timed out", "died": "died"}


def prepare(notebook: dict[str, Any], source: str, output: str) -> None:
    """Give a notebook the metadata that papermill gives it when it is loaded."""
    metadata = notebook["metadata"]
    metadata.setdefault(
        "papermill",
        {
            "default_parameters": {},
            "parameters": {},
            "environment_variables": {},
            "version": version("papermill"),
        },
    )
    metadata["papermill"]["input_path"] = source
    metadata["papermill"]["output_path"] = output


class Record:
    """Keeps the metadata of a notebook true while it runs."""

    def __init__(self, notebook: dict[str, Any], saver: Saver, *, skip_tag: str = SKIP_TAG) -> None:
        self._notebook = notebook
        self._saver = saver
        self._skip_tag = skip_tag
        self._started = datetime.now(UTC)
        self._cpu = 0.0
        self._peak = 0
        self.kernel: dict[str, Any] | None = None  # how it was started, and why

    def begin(self) -> None:
        """The run starts: forget what an earlier one has left."""
        times = {"end_time": None, "duration": None, "exception": None}
        begun = {"start_time": self._started.isoformat(), **times}
        self._notebook["metadata"]["papermill"].update(begun)
        self._notebook["metadata"]["mlops"] = {"state": "running"}
        for cell in self._notebook["cells"]:
            cell["metadata"]["papermill"] = {"start_time": None, **times, "status": "pending"}
            cell["metadata"].pop("mlops", None)
            if cell["cell_type"] == "code":
                cell["execution_count"], cell["outputs"] = None, []
                cell["metadata"]["mlops"] = {"state": "not run"}

    def start(self, cell: dict[str, Any]) -> None:
        """A cell begins."""
        record = cell["metadata"]["papermill"]
        now = datetime.now(UTC).isoformat()
        record.update({"start_time": now, "status": "running", "exception": False})
        if runs(cell, self._skip_tag):
            cell["metadata"]["mlops"] = {"state": "running"}
        self._saver.changed(cell)

    def end(
        self,
        cell: dict[str, Any],
        state: str,
        usage: Usage | None = None,
        **more: Any,
    ) -> None:
        """A cell has ended; ``state`` and ``more`` as the module says, ``None`` left out."""
        record = cell["metadata"]["papermill"]
        now = datetime.now(UTC)
        record["end_time"] = now.isoformat()
        begun = datetime.fromisoformat(record["start_time"])
        record["duration"] = (now - begun).total_seconds()
        good = state in ("completed", "skipped")
        record["status"] = "completed" if good else "failed"
        if not good:
            record["exception"] = True
            self._notebook["metadata"]["papermill"]["exception"] = True
        if cell["cell_type"] == "code":
            entry: dict[str, Any] = {"state": state}
            if usage is not None:
                entry["wall"] = record["duration"]
                entry["cpu"], entry["peak_memory"] = round(usage.cpu, 6), usage.peak
                self._cpu += usage.cpu
                self._peak = max(self._peak, usage.peak)
            entry.update({key: value for key, value in more.items() if value is not None})
            cell["metadata"]["mlops"] = entry
        self._saver.changed(cell)

    def finish(self, status: str, error: dict[str, Any] | None, *, stopped: bool) -> None:
        """The run has ended.  What never ran stays ``pending`` and ``not run``."""
        now = datetime.now(UTC)
        seconds = (now - self._started).total_seconds()
        metadata = self._notebook["metadata"]
        metadata["papermill"].update({"end_time": now.isoformat(), "duration": seconds})
        state = "cancelled" if stopped else _STATES.get(status, "completed")
        entry: dict[str, Any] = {"state": state, "wall": seconds}
        entry["cpu"], entry["peak_memory"] = round(self._cpu, 6), self._peak
        if state != "completed":
            metadata["papermill"]["exception"] = True
        if error is not None:
            entry["error"] = {key: error[key] for key in ("ename", "evalue", "cell_id", "lineno")}
        if self.kernel is not None:
            entry["kernel"] = self.kernel
        metadata["mlops"] = entry
