"""What tests drive: an in-process shell, and a kernel spoken to as JupyterLab speaks to it."""

from __future__ import annotations

import io
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import KernelManager
from jupyter_core.paths import jupyter_runtime_dir

from jupyter_mlops.capture.card import MIME
from jupyter_mlops.journal import SessionFile, list_sessions, read_session
from jupyter_mlops.model.events import CellEvent, RunRecord
from jupyter_mlops.project import Project


@dataclass
class Outcome:
    """What one cell did: streams, displayed bundles, the value, the traceback as text."""

    stdout: str = ""
    stderr: str = ""
    displays: list[dict[str, Any]] = field(default_factory=list)
    result: str | None = None
    traceback: str = ""
    ename: str | None = None
    count: int | None = None
    order: list[str] = field(default_factory=list)

    @property
    def card(self) -> dict[str, Any] | None:
        """The run card's payload, if one was shown."""
        cards = [d[MIME] for d in self.displays if MIME in d]
        assert len(cards) < 2
        return cards[0] if cards else None


class Journals:
    """Reading what was written."""

    project: Project

    @property
    def sessions(self) -> list[SessionFile]:
        found = [read_session(path) for path in list_sessions(self.project.journal)]
        assert not [damage for session in found for damage in session.damage]
        return found

    @property
    def session(self) -> SessionFile:
        (only,) = self.sessions
        return only

    @property
    def cells(self) -> tuple[CellEvent, ...]:
        return self.session.cells

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        return self.session.runs


class Shell(Journals):
    """IPython in this process."""

    def __init__(self, shell: InteractiveShell, project: Project) -> None:
        self.ip = shell
        self.project = project

    def load(self) -> None:
        self.ip.extension_manager.load_extension("jupyter_mlops")

    def unload(self) -> None:
        self.ip.extension_manager.unload_extension("jupyter_mlops")

    def run(self, source: str, *, metadata: Mapping[str, Any] | None = None) -> Outcome:
        """Run a cell as a front end does, and return what it did."""
        outcome = Outcome()
        publisher = self.ip.display_pub
        shown: list[dict[str, Any]] = []

        def publish(data: dict[str, Any], metadata: Any = None, **_: Any) -> None:
            shown.append(data)

        out, err = io.StringIO(), io.StringIO()
        publisher.publish = publish
        try:
            with redirect_stdout(out), redirect_stderr(err):
                result = self.ip.run_cell(source, store_history=True, **self._about(metadata))
        finally:
            del publisher.publish
        outcome.stdout, outcome.stderr, outcome.displays = out.getvalue(), err.getvalue(), shown
        error = result.error_before_exec or result.error_in_exec
        outcome.ename = type(error).__name__ if error is not None else None
        outcome.result = repr(result.result) if result.result is not None else None
        outcome.count = result.execution_count
        return outcome

    def _about(self, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
        """What a kernel passes on of a cell's metadata, in the way this IPython takes it."""
        about: dict[str, Any] = {"cell_id": (metadata or {}).get("cellId")}
        if "cell_meta" in signature(self.ip.run_cell).parameters:
            return about | {"cell_meta": None if metadata is None else dict(metadata)}
        if metadata is not None:  # Before IPython 9 it is asked of the kernel.
            self.ip.kernel = SimpleNamespace(get_parent=lambda: {"metadata": dict(metadata)})
        return about

    @property
    def last(self) -> RunRecord:
        """The newest run in the journal."""
        return self.sessions[-1].runs[-1]


class Kernel(Journals):
    """A kernel process."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        from jupyter_mlops.project import open_project

        self.project = open_project(folder, create=False)
        self.id = str(uuid.uuid4())
        # As Jupyter Server names it: the kernel's id is in it.
        connection_file = os.path.join(jupyter_runtime_dir(), f"kernel-{self.id}.json")
        self.manager = KernelManager(kernel_name="python3", connection_file=connection_file)
        self.manager.start_kernel(cwd=str(folder), env=dict(env))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def stop(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()

    def send(self, source: str, metadata: Mapping[str, Any] | None = None, **content: Any) -> str:
        """Send a request to execute; ``metadata`` as JupyterLab sends a cell's."""
        request = {
            "code": source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        } | content
        message = self.client.session.msg("execute_request", request, metadata=dict(metadata or {}))
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def run(
        self, source: str, metadata: Mapping[str, Any] | None = None, **content: Any
    ) -> Outcome:
        return self.wait(self.send(source, metadata, **content))

    def wait(self, request: str, timeout: float = 120) -> Outcome:
        """Collect everything that belongs to a request until the kernel is idle again."""
        outcome, deadline = Outcome(), time.monotonic() + timeout
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.1, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            if kind == "stream":
                name = content["name"]
                setattr(outcome, name, getattr(outcome, name) + content["text"])
            elif kind == "display_data":
                outcome.displays.append(content["data"])
            elif kind == "execute_result":
                outcome.result = content["data"]["text/plain"]
            elif kind == "error":
                outcome.ename = content["ename"]
                outcome.traceback = "\n".join(content["traceback"])
            elif kind == "execute_input":
                outcome.count = content["execution_count"]
                continue
            if kind in ("stream", "display_data", "execute_result", "error"):
                outcome.order.append(kind)
        while True:  # The reply, so that the channel does not fill up.
            reply = self.client.get_shell_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == request:
                return outcome
