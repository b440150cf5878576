"""Real kernels, driven as JupyterLab drives them, with and without the extension."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_mlops.capture.card import MIME
from jupyter_mlops.journal import SessionFile, list_sessions, read_session
from jupyter_mlops.project import Project

from .conftest import start_kernel
from .drivers import Kernel, Outcome

ROOT = Path(__file__).resolve().parent.parent.parent

# Everything a person may do in a cell; each is run plain and tracked.
CELLS = [
    "print('out'); import sys; print('err', file=sys.stderr)\n21 * 2",
    "from IPython.display import display\ndisplay('shown'); print('after')\n'value'",
    "import asyncio\nawait asyncio.sleep(0.01)\n'awaited'",
    "async for x in (i async for i in agen()):\n    pass",
    "async def agen():\n    yield 1\nasync for x in agen():\n    print(x)\nx",
    "%%time\ny = 3\ny * 2",
    "!echo from the shell\nfiles = !echo a b\nfiles",
    "%who_ls",
    "def f():\n    return g()\ndef g():\n    return 1 / 0\n\nf()",
    "x = (1,\n     2)\nraise ValueError('boom')",
    "%%bash\necho bash",
    "%%capture captured\nprint('hidden')",
    "captured.stdout",
    "def broken(:",
    "sys.exit(2)",
    "print?",
    "x;",
    "# only a comment",
    "_",
    "1 / 0",
    "import warnings\nwarnings.warn('careful')",
    "len(In), sorted(k for k in globals() if not k.startswith('_'))[:3]",
]


def comparable(outcome: Outcome, *, tracked: bool) -> dict[str, Any]:
    """What a person sees, with line numbers where they should be and times blanked."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", outcome.traceback)
    displays = [d for d in outcome.displays if MIME not in d]
    order = outcome.order[:-1] if tracked and outcome.card else outcome.order
    # Into how many messages output is cut is a matter of time.
    order = [kind for kind, before in zip(order, ["", *order], strict=False) if kind != before]
    return {
        "stdout": re.sub(r"[\d.e+-]+ [mnµμu]?s", "TIME", outcome.stdout),
        "stderr": re.sub(r"ipykernel_\d+/\d+\.py", "FILE", outcome.stderr),
        "displays": displays,
        "result": outcome.result,
        "ename": outcome.ename,
        "traceback": re.sub(r"File .*?:", "File:", text),
        "count": outcome.count,
        "order": order,
    }


def lines_shifted(text: str, by: int) -> str:
    """A traceback with the line numbers of this cell's frames moved."""

    def moved(match: re.Match[str]) -> str:
        return f"{match[1]}{int(match[2]) + by}"

    text = re.sub(r"(In\[\d+\], line )(\d+)", moved, text)
    text = re.sub(r"(FILE:)(\d+)", moved, text)
    return re.sub(r"^((?:---->|-->|->)? *)(\d+)(?= |$)", moved, text, flags=re.M)


def test_whole_sessions_are_the_same_with_and_without_us(project: Project) -> None:
    plain, loaded, tracked = [], [], []
    with start_kernel(project.root) as kernel:
        kernel.run("pass")
        plain = [comparable(kernel.run(source), tracked=False) for source in CELLS]
    with start_kernel(project.root) as kernel:
        assert kernel.run("%load_ext jupyter_mlops").ename is None
        for source in CELLS:
            outcome = kernel.run(source)
            assert outcome.card is None
            loaded.append(comparable(outcome, tracked=False))
    assert list(list_sessions(project.journal)) == []
    with start_kernel(project.root) as kernel:
        kernel.run("%load_ext jupyter_mlops")
        for source in CELLS:
            outcome = kernel.run(f"%%track\n{source}")
            assert outcome.card is not None, source
            assert outcome.order[-1] == "display_data", source  # Below everything of the cell.
            tracked.append(comparable(outcome, tracked=True))
        kernel_runs = kernel.runs
    for source, want, got in zip(CELLS, plain, loaded, strict=True):
        assert got == want, source
    for source, want, got in zip(CELLS, plain, tracked, strict=True):
        one_down = want | {key: lines_shifted(str(want[key]), 1) for key in ("traceback", "stderr")}
        for key, value in one_down.items():
            if key != "traceback":
                assert got[key] == value, (source, key)
            else:
                assert _frames(got[key]) == _frames(value), source
    assert len(kernel_runs) == len(CELLS)
    assert [run.status for run in kernel_runs] == [
        "FAILED" if want["ename"] else "FINISHED" for want in plain
    ]


def _frames(traceback: str) -> list[str]:
    """The frames' heads and the arrows: context lines differ by the line above."""
    return [
        line
        for line in traceback.splitlines()
        if re.match(r"(Cell )?(In\[|File)|-+>|\w+(Error|Exit)", line)
    ]


def test_a_cell_as_jupyterlab_sends_it(kernel: Kernel) -> None:
    kernel.run("%load_ext jupyter_mlops\nimport sys", {"cellId": "c0", "deletedCells": []})
    outcome = kernel.run(
        "score = 3 / 4\nscore",
        {"cellId": "c1", "tags": ["track"], "deletedCells": [], "trusted": True},
    )
    assert outcome.result == "0.75"
    assert outcome.order == ["execute_result", "display_data"]
    (run,) = kernel.runs
    assert run.metrics == {"score": 0.75}
    assert [cell.cell_id for cell in kernel.cells] == ["c0", "c1"]
    header = kernel.session.header
    assert header is not None
    assert header.kernel_id == kernel.id
    assert header.pid == kernel.manager.provisioner.pid
    silent = kernel.run("%%track\nx = 1 / 2", silent=True, store_history=False)
    assert silent.displays == []
    assert kernel.run("%%track\nx = 1 / 2", store_history=False).displays == []
    assert len(kernel.runs) == 1
    kernel.run("%track")
    # All this has pulled nothing heavy into the kernel.
    heavy = "[m for m in ('mlflow', 'pandas', 'sklearn', 'papermill', 'numpy') if m in sys.modules]"
    assert kernel.run(heavy).result == "[]"


def interrupt_when_running(kernel: Kernel, source: str) -> Outcome:
    """Interrupt a cell that has printed `ready`."""
    request = kernel.send(source)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "stream" and "ready" in message["content"]["text"]:
            break
    kernel.manager.interrupt_kernel()
    # ipykernel's handler does not wake a loop that waits in an async cell; any message does.
    kernel.client.kernel_info()
    return kernel.wait(request)


def test_interrupts_and_cancellations(kernel: Kernel) -> None:
    kernel.run("%load_ext jupyter_mlops")
    for number, wait in enumerate(
        (
            "import time\nprint('ready', flush=True)\ntime.sleep(60)",
            "import asyncio\nprint('ready', flush=True)\nawait asyncio.sleep(60)",
            "print('ready', flush=True)\nwhile True: pass",
        ),
        1,
    ):
        outcome = interrupt_when_running(kernel, f"%%track\npart = 1 / 2\n{wait}\nrest = 1 / 4")
        assert outcome.ename in ("KeyboardInterrupt", "CancelledError")
        assert outcome.card is not None
        assert outcome.card["status"] == "KILLED"
        assert len(kernel.runs) == number
        assert kernel.runs[-1].status == "KILLED"
        assert kernel.runs[-1].metrics == {"part": 0.5}
        assert kernel.cells[-1].status == "interrupted"
    # A task of the person's own that was cancelled is a failure, not an interrupt.
    outcome = kernel.run(
        "%%track\nt = asyncio.ensure_future(asyncio.sleep(60))\nt.cancel()\nawait t"
    )
    assert outcome.ename == "CancelledError"
    assert kernel.runs[-1].status == "FAILED"


SLOW_TO_PICKLE = """%%track
import os, signal
from sklearn.preprocessing import StandardScaler
class Slow:
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGINT)
        import time; time.sleep(5)
        return (Slow, ())
s = StandardScaler().fit([[1.0]])
s.slow_ = Slow()
x = 1 / 2
"""


def test_an_interrupt_while_the_models_are_kept_loses_the_model_only(kernel: Kernel) -> None:
    kernel.run("%load_ext jupyter_mlops")
    outcome = kernel.run(SLOW_TO_PICKLE)
    assert outcome.ename is None
    (run,) = kernel.runs
    assert run.status == "FINISHED"
    assert run.metrics == {"x": 0.5}
    (model,) = run.models
    assert model.blob is None
    assert "interrupted" in (model.reason or "")


def test_a_kernel_killed_in_a_cell_leaves_a_started_run(kernel: Kernel) -> None:
    kernel.run("%load_ext jupyter_mlops")
    kernel.run("%%track\nx = 1 / 2")
    request = kernel.send(
        "%%track --name lost\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    assert request
    deadline = time.monotonic() + 60
    while kernel.manager.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    (unfinished,) = kernel.session.unfinished
    assert unfinished.name == "lost"
    assert kernel.session.writer_alive() is False
    assert [run.metrics for run in kernel.runs] == [{"x": 0.5}]


def test_two_kernels_have_a_session_each(project: Project) -> None:
    with start_kernel(project.root) as one, start_kernel(project.root) as two:
        for kernel in (one, two):
            kernel.run("%load_ext jupyter_mlops")
        requests = [kernel.send("%%track\nx = 1 / 2") for kernel in (one, two)]
        for kernel, request in zip((one, two), requests, strict=True):
            assert kernel.wait(request).card is not None
        assert [len(session.runs) for session in one.sessions] == [1, 1]


def test_vs_code_gets_a_widget(project: Project) -> None:
    notebook = project.root / "vs.ipynb"
    notebook.write_text("{}")
    with start_kernel(project.root) as kernel:
        kernel.run(f"%load_ext jupyter_mlops\n__vsc_ipynb_file__ = {str(notebook)!r}")
        outcome = kernel.run("%%track\nx = 1 / 2", {"cellId": "vscode-notebook-cell:/vs.ipynb#W1"})
        (shown,) = outcome.displays
        assert "application/vnd.jupyter.widget-view+json" in shown
        assert "text/html" in shown
        (run,) = kernel.runs
        assert (run.name, run.notebook) == ("vs #1", "vs.ipynb")


def test_a_renamed_notebook(project: Project) -> None:
    old, new = project.root / "old.ipynb", project.root / "new.ipynb"
    old.write_text("{}")
    with start_kernel(project.root, JPY_SESSION_NAME=str(old)) as kernel:
        kernel.run("%load_ext jupyter_mlops")
        kernel.run("%%track\nx = 1 / 2")
        old.rename(new)
        # What our server extension writes when it sees the rename.
        runtime = Path(os.environ["JUPYTER_RUNTIME_DIR"], "mlops")
        runtime.mkdir(exist_ok=True)
        (runtime / f"kernel-{kernel.id}.path").write_text(str(new))
        kernel.run("%%track\nx = 1 / 2")
        assert [(run.name, run.notebook) for run in kernel.runs] == [
            ("old #1", "old.ipynb"), ("new #2", "new.ipynb")
        ]  # fmt: skip


HEADLESS = {
    "papermill": ["-m", "papermill", "nb.ipynb", "out.ipynb", "--no-progress-bar"],
    "execute": [str(Path(sys.executable).with_name("jupyter-execute")), "nb.ipynb"],
}


@pytest.mark.parametrize("tool", HEADLESS)
def test_headless_runs_know_their_notebook_and_its_tags(project: Project, tool: str) -> None:
    cells = [
        nbformat.v4.new_code_cell("%load_ext jupyter_mlops"),
        nbformat.v4.new_code_cell("%%track\nx = 1 / 2"),
        nbformat.v4.new_code_cell("y = 1 / 4", metadata={"tags": ["track"]}),
        nbformat.v4.new_code_cell("z = 1 / 8"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "x", "language": "python"}
    nbformat.write(notebook, project.root / "nb.ipynb")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *HEADLESS[tool]],  # Their warnings are not ours.
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    session = only_session(project)
    assert [(run.name, run.notebook, run.metrics) for run in session.runs] == [
        ("nb #1", "nb.ipynb", {"x": 0.5}), ("nb #2", "nb.ipynb", {"y": 0.25})
    ]  # fmt: skip
    assert [cell.source for cell in session.cells][-4:] == [cell.source for cell in cells]
    if tool == "papermill":
        executed = json.loads((project.root / "out.ipynb").read_text())
        assert MIME in executed["cells"][1]["outputs"][-1]["data"]


def test_plain_ipython_in_a_terminal(project: Project) -> None:
    code = "%load_ext jupyter_mlops\n%%track\nx = 1 / 2\n\n\nprint('done')\n"
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor"],
        input=code,
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "run proj #1: finished" in done.stdout, done.stdout + done.stderr
    assert "x=0.5" in done.stdout
    assert "done" in done.stdout
    assert only_session(project).runs[0].metrics == {"x": 0.5}


def only_session(project: Project) -> SessionFile:
    (path,) = list_sessions(project.journal)
    return read_session(path)
