"""What a headless run must survive: stock papermill and ours, on each engine, in one table.

``python benchmarks/correctness.py [ROW ...]`` runs each row (or those whose name has a word) in
processes of its own and prints a Markdown table: ``ok``, or what was wrong.  Judged are the exit
code, the state that each cell is said to have, the output, the file, and what still runs after the
run has ended.  ``fork`` is what a run chooses by itself: the fork engine, or a warm kernel where
the notebook needs one, which is said.  The rows are those of ``tests/integrations/test_engine_*``
and torch needs ``MLOPS_TORCH_PYTHON``, a Python with torch and ipykernel.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.correctness_rows import ROWS, Row

KINDS = ("papermill", "cold", "warm", "fork")
HANGS = 100.0  # seconds
LINGER = 10.0  # seconds that what was left is watched


def child(kind: str, notebook: Path, limit: float | None) -> int:
    """Our runner, in the process that this script has started for it."""
    from jupyter_mlops.config import load_config
    from jupyter_mlops.pipelines import run_pipeline
    from jupyter_mlops.project import open_project
    from jupyter_mlops.warm import ensure_zygote, imported_modules
    from jupyter_mlops.warm.choosing import warm_kernels

    node = json.loads(notebook.read_text())
    interpreter = os.environ.get("MLOPS_TORCH_PYTHON", "")
    name = node["metadata"]["kernelspec"]["name"]
    project = open_project(notebook)
    with contextlib.ExitStack() as stack:
        if kind in ("warm", "fork"):
            modules = imported_modules(notebook)
            python = interpreter if name == "torch" else sys.executable
            assert ensure_zygote(python, modules, "correctness").wait(240)
            choice = stack.enter_context(warm_kernels(modules))
        outcome = run_pipeline(
            project, load_config(project.root), notebook, {}, timeout=limit, deliver="later"
        )
        if kind in ("warm", "fork") and name == "python3":
            (start,) = [one["start"] for one in choice.starts]
            assert start in {"warm", kind}, choice.starts
            (notebook.parent / "start").write_text(start)
    return outcome.exit_code


class Case:
    """One row by one runner."""

    def __init__(self, row: Row, kind: str) -> None:
        self.row, self.kind = row, kind
        self.folder = Path(tempfile.mkdtemp(prefix="row-")).resolve()
        self.notebook = self.folder / "in.ipynb"
        self.output = self.folder / "out" / "out.ipynb"
        self.output.parent.mkdir()
        (self.folder / "pyproject.toml").touch()
        row.write(self.notebook)
        self.faults: list[str] = []
        self.node: Any = None
        self.start = "fork"

    def judge(self) -> str:
        """Run it, and say what was wrong."""
        try:
            with self._place() as prefix:
                code = self._run(prefix)
                self._read()
            self._left()
            self._started()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
        row = self.row
        if code is None:
            self.faults.insert(0, "hangs")
        elif (code == 0) != row.succeeds:
            self.faults.insert(0, f"exit code {code}")
        if self.node is not None:
            cells = [cell for cell in self.node["cells"] if cell["cell_type"] == "code"]
            states = [cell["metadata"].get("papermill", {}).get("status") for cell in cells]
            if row.states is not None and not row.allows(states):
                self.faults.append("cells: " + ", ".join(map(str, states)))
            if row.check is not None:
                self.faults += row.check(self.node)
        if not self.faults and self.kind == "fork" and self.start != "fork":
            return f"ok ({self.start})"
        return "; ".join(self.faults) or "ok"

    def _command(self) -> list[str]:
        limit = self.row.limit
        if self.kind != "papermill":
            more = [] if limit is None else [str(limit)]
            return [sys.executable, "-W", "ignore", __file__, "--child", self.kind,
                    str(self.notebook), *more]  # fmt: skip
        more = [] if limit is None else ["--execution-timeout", str(int(limit))]
        return [sys.executable, "-W", "ignore", "-m", "papermill", str(self.notebook),
                str(self.output), "--no-progress-bar", *more]  # fmt: skip

    @contextlib.contextmanager
    def _place(self) -> Iterator[list[str]]:
        """What comes before the command: a control group, a small disk."""
        if self.row.place == "group":
            group = Path(f"/sys/fs/cgroup/memory/correctness-{os.getpid()}")
            group.mkdir()
            (group / "memory.limit_in_bytes").write_text("500000000")
            try:
                yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
            finally:
                for _ in range(200):
                    with contextlib.suppress(OSError):
                        group.rmdir()
                        break
                    time.sleep(0.05)
        elif self.row.place == "disk":
            disk = self.output.parent if self.kind == "papermill" else self.folder / ".mlops"
            disk.mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
            try:
                yield []
                if self.kind != "papermill":
                    shutil.copytree(disk, self.folder / "seen")
            finally:
                self._read()
                subprocess.run(["umount", "-l", disk], check=True)
        else:
            yield []

    def _run(self, prefix: Sequence[str]) -> int | None:
        env = {**os.environ, "JUPYTER_MLOPS_AGENT": "off"}
        env["JUPYTER_MLOPS_FORK"] = "on" if self.kind == "fork" else "off"
        process = subprocess.Popen(
            [*prefix, *self._command()], cwd=self.folder, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + HANGS
        number = self.row.signal
        while number is not None and process.poll() is None and time.monotonic() < deadline:
            if (self.folder / "now").exists():
                time.sleep(0.5)
                process.send_signal(number)
                break
            time.sleep(0.02)
        try:
            return process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            for one in psutil.Process(process.pid).children(recursive=True):
                one.kill()
            process.kill()
            process.wait()
            return None

    def _read(self) -> None:
        if self.node is not None or self.faults:
            return
        places = [self.output] if self.kind == "papermill" else [
            *self.folder.glob(".mlops/runs/*/in.ipynb")
        ]  # fmt: skip
        for place in places:
            if place.is_file():
                try:
                    self.node = json.loads(place.read_text())
                except ValueError:
                    self.faults.append(f"the notebook is cut off after {place.stat().st_size:,} B")
                    return
                size = place.stat().st_size
                if size > 25e6:
                    self.faults.append(f"a notebook of {size / 1e6:.0f} MB")
                return
        self.faults.append("no notebook")

    def _started(self) -> None:
        """How the kernel was started: as the notebook says, or else the run."""
        seen = self.folder / "start"
        if seen.exists():
            self.start = seen.read_text()
        elif self.node is not None:
            kernel = self.node["metadata"].get("mlops", {}).get("kernel", {})
            self.start = kernel.get("start", "fork")

    def _left(self) -> None:
        """What the kernel had started and is still there."""
        path = self.folder / "pids"
        if not path.exists():
            return
        began = time.monotonic()
        pids = [int(word) for word in path.read_text().split()]
        alive = first = [pid for pid in pids if lives(pid)]
        while alive and time.monotonic() < began + LINGER:
            time.sleep(0.02)
            alive = [pid for pid in alive if lives(pid)]
        seconds = time.monotonic() - began
        allowed = 5.0 if self.row.signal == signal.SIGKILL else 0.0
        if alive:
            self.faults.append(f"{len(alive)} processes live on")
            for pid in alive:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        elif first and seconds > allowed:
            self.faults.append(f"{len(first)} processes live on for {seconds:.1f} s")


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def kernels() -> Iterator[None]:
    """Kernels of our own in a data folder of our own."""
    folder = Path(tempfile.mkdtemp(prefix="kernels-"))
    argv = {"suicidal": [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]}
    torch = os.environ.get("MLOPS_TORCH_PYTHON")
    if torch:
        argv["torch"] = [torch, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    for name, words in argv.items():
        (folder / "kernels" / name).mkdir(parents=True)
        spec = {"argv": words, "display_name": name, "language": "python"}
        (folder / "kernels" / name / "kernel.json").write_text(json.dumps(spec))
    os.environ["JUPYTER_PATH"] = str(folder)
    try:
        yield
    finally:
        shutil.rmtree(folder)


def main(words: list[str]) -> None:
    """Print the table."""
    print("| what happens | " + " | ".join(["papermill", "ours, cold", "warm", "fork"]) + " |")
    print("|---|---|---|---|---|")
    right = dict.fromkeys(KINDS, 0)
    rows = [
        row for row in ROWS if row.possible() and (not words or any(w in row.name for w in words))
    ]
    with kernels():
        for row in rows:
            said = {kind: Case(row, kind).judge() for kind in KINDS}
            for kind in KINDS:
                right[kind] += said[kind].startswith("ok")
            print(f"| {row.name} | " + " | ".join(said.values()) + " |", flush=True)
    print("| right | " + " | ".join(f"{n} of {len(rows)}" for n in right.values()) + " |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        limit = float(sys.argv[4]) if sys.argv[4:] else None
        sys.exit(child(sys.argv[2], Path(sys.argv[3]), limit))
    main(sys.argv[1:])
