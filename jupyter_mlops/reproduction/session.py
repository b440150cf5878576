"""Cells executed again, one after the other, in a fresh kernel of a given interpreter, captured."""

from __future__ import annotations

import json
import os
import queue
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import ProjectError, UsageError
from ..journal import SessionFile, list_sessions, read_session
from ..model.ports import CellProgress

__all__ = ["CellFailed", "execute_cells"]

_START = 120.0  # Seconds for a kernel to answer: a new environment compiles what it imports.
_LOAD = "%load_ext jupyter_mlops"


class CellFailed(ProjectError):
    """A cell raised, or its kernel died; ``fields["cell"]`` counts from 0."""

    exit_code = 4


def execute_cells(
    python: Path,
    cells: Sequence[tuple[str, str]],
    *,
    root: Path,
    notebook: Path,
    timeout: float | None = None,
    progress: Callable[[CellProgress], None] | None = None,
) -> SessionFile:
    """Execute ``(cell id, source)`` in a fresh kernel and return the journal it wrote.

    ``root`` is the project that captures, ``notebook`` a path in it.  ``timeout`` is in seconds
    for each cell.  Raises ``CellFailed`` at the first cell that does not end well, ``UsageError``
    when the interpreter has no kernel.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager

    specs = root / ".mlops" / "kernels"
    (specs / "rerun").mkdir(parents=True, exist_ok=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "rerun", "language": "python"}
    (specs / "rerun" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    manager = KernelManager(
        kernel_name="rerun",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(specs)], ensure_native_kernel=False),
    )
    manager.start_kernel(cwd=str(notebook.parent), env=_environment(python, root, notebook))
    client = manager.blocking_client()
    try:
        client.start_channels()
        try:
            client.wait_for_ready(timeout=_START)
        except RuntimeError as error:
            raise UsageError(
                f"no kernel starts with {python}: {error}",
                hint="Its environment needs the package ipykernel.",
            ) from error
        _execute(client, manager, "", _LOAD, -1, timeout)
        for position, (cell_id, source) in enumerate(cells):
            if progress is not None:
                progress(CellProgress(position, len(cells), "started", _title(source)))
            began, state = time.monotonic(), "failed"
            try:
                _execute(client, manager, cell_id, source, position, timeout)
                state = "completed"
            finally:
                if progress is not None:
                    took = time.monotonic() - began
                    progress(CellProgress(position, len(cells), state, _title(source), took))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=False)
    sessions = list(list_sessions(root / ".mlops" / "journal"))
    if not sessions:
        raise ProjectError(
            "the repeated session recorded nothing",
            hint="Was %load_ext jupyter_mlops refused? Look with --keep FOLDER.",
        )
    return read_session(sessions[-1])


def _environment(python: Path, root: Path, notebook: Path) -> dict[str, str]:
    ours = ("JUPYTER_MLOPS_", "MLFLOW_")
    away = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    env = {k: v for k, v in os.environ.items() if not k.startswith(ours) and k not in away}
    env["PATH"] = os.pathsep.join([str(python.parent), env.get("PATH", os.defpath)])
    env["JPY_SESSION_NAME"] = str(notebook)
    env["JUPYTER_MLOPS_AGENT"] = "off"
    return env


def _execute(
    client: Any, manager: Any, cell_id: str, source: str, position: int, timeout: float | None
) -> None:
    content = {
        "code": source,
        "silent": False,
        "store_history": position >= 0,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    message = client.session.msg("execute_request", content, metadata={"cellId": cell_id})
    client.shell_channel.send(message)
    asked = message["header"]["msg_id"]
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        _drain(client)
        try:
            reply = client.get_shell_msg(timeout=1.0)
        except queue.Empty:
            if not manager.is_alive():
                raise _failed(position, source, "its kernel died", "") from None
            if deadline is not None and time.monotonic() > deadline:
                manager.interrupt_kernel()
                raise _failed(position, source, f"it took longer than {timeout:g} s", "") from None
            continue
        if reply["parent_header"].get("msg_id") == asked:
            break
    found = reply["content"]
    if found["status"] != "ok":
        name, value = found.get("ename", "interrupted"), found.get("evalue", "")
        raise _failed(position, source, f"{name}: {value}".rstrip(": "), name)


def _drain(client: Any) -> None:
    """Read away what the cells print: it is not compared, and a full queue would grow."""
    while True:
        try:
            client.get_iopub_msg(timeout=0)
        except queue.Empty:
            return


def _failed(position: int, source: str, what: str, name: str) -> CellFailed:
    if position < 0:
        return CellFailed(f"the session cannot be repeated: {what}", cell=position, error=name)
    return CellFailed(
        f"cell {position + 1} ({_title(source)}) failed when it was executed again: {what}",
        cell=position,
        error=name,
    )


def _title(source: str) -> str:
    lines = (line.strip() for line in source.splitlines())
    first = next((ln for ln in lines if ln and not ln.startswith(("#", "%%track"))), "")
    return first if len(first) <= 60 else first[:57] + "..."
