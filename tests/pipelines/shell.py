"""An executor for tests of many runs; see ``shell_server``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jupyter_mlops
from jupyter_mlops.model.ports import ExecutionResult

_HERE = Path(__file__).parent
_EVIDENCE = Path(jupyter_mlops.__file__).parent / "integrations" / "engine_evidence.py"


class ShellExecutor:
    """Executes notebooks in forks of one process; ``runs`` names the notebooks, in order."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, str(_HERE / "shell_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def check(self, notebook: Path, *, kernel: str | None, parameters: bool = True) -> None:
        """Nothing to check."""

    def execute(
        self,
        notebook: Path,
        output: Path,
        parameters: Mapping[str, Any],
        *,
        kernel: str | None,
        cwd: Path,
        env: Mapping[str, str],
        **ignored: Any,
    ) -> ExecutionResult:
        """Run it in a fork."""
        request = {
            "notebook": str(notebook),
            "output": str(output),
            "parameters": dict(parameters),
            "cwd": str(cwd),
            "env": {**os.environ, **env},
            "evidence": str(_EVIDENCE),
        }
        output.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self.runs.append(notebook.stem)
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        if answer["status"] == 0:
            return ExecutionResult("completed", output, 0.0)
        text = output.read_text() if output.exists() else "it died"
        error = {"ename": "Error", "evalue": text[-300:]}
        return ExecutionResult("failed", output, 0.0, error)
