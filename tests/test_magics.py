"""Loading, the short magics, completion and the command line as a child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops import magics
from jupyter_mlops.capture import child
from jupyter_mlops.capture.options import OPTIONS
from jupyter_mlops.capture.transform import blank_track

from .capture import conftest as capture
from .capture.drivers import Shell

plain_shell, shell = capture.plain_shell, capture.shell
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children find the package also where it is not installed."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYTHONPATH", path)


def state(shell: Shell) -> tuple[Any, ...]:
    ip = shell.ip
    return (
        set(ip.magics_manager.magics["line"]),  # IPython replaces the objects on first use.
        set(ip.magics_manager.magics["cell"]),
        {name: list(found) for name, found in ip.events.callbacks.items()},
        list(ip.input_transformer_manager.line_transforms),
        list(ip.input_transformer_manager.cleanup_transforms),
        list(ip.ast_transformers),
    )


def test_loading_adds_and_unloading_takes_everything_away(plain_shell: Shell) -> None:
    before = state(plain_shell)
    plain_shell.load()
    assert before != state(plain_shell)
    line, cell = (plain_shell.ip.magics_manager.magics[kind] for kind in ("line", "cell"))
    for name in magics.NAMES:
        assert name.lstrip("%") in (cell if name.startswith("%%") else line)
    assert plain_shell.ip.ast_transformers == []
    plain_shell.unload()
    assert state(plain_shell) == before
    assert plain_shell.run("%%track\nx = 1").ename == "UsageError"
    plain_shell.load()
    assert plain_shell.run("%%track\nx = 1 / 2").card is not None
    plain_shell.unload()


def test_loading_twice_is_harmless(shell: Shell) -> None:
    before = state(shell)
    for _ in range(2):
        magics.load(shell.ip)
        shell.run("%load_ext jupyter_mlops")
    assert state(shell) == before
    shell.run("%reload_ext jupyter_mlops")
    assert len(state(shell)[2]["pre_run_cell"]) == len(before[2]["pre_run_cell"])
    assert state(shell)[3].count(blank_track) == 1
    assert shell.run("%%track\nx = 1 / 2").card is not None
    assert len(shell.runs) == 1


def test_a_name_that_is_taken_stays_its_own(plain_shell: Shell) -> None:
    said: list[str] = []
    theirs = {
        ("cell", "track"): lambda line, cell: said.append(cell),
        ("line", "runs"): lambda line: said.append("runs"),
    }
    for (kind, name), function in theirs.items():
        plain_shell.ip.register_magic_function(function, kind, name)
    outcome = plain_shell.run("%load_ext jupyter_mlops")
    (warning,) = outcome.stderr.splitlines()
    assert "%%track, %runs" in warning
    plain_shell.run("%%track\ntheir cell")
    plain_shell.run("%runs")
    assert said == ["their cell\n", "runs"]
    assert plain_shell.sessions == []
    tagged = plain_shell.run("x = 1 / 2", metadata={"tags": ["track"]})
    assert tagged.card is not None
    assert "No run" not in plain_shell.run("%track").stdout
    plain_shell.unload()
    plain_shell.run("%runs")
    assert said[-1] == "runs"


def test_help(shell: Shell) -> None:
    text = magics.Magics.track.__doc__ or ""
    for option, (value, meaning) in OPTIONS.items():
        assert option + (f" {value}" if value else "") in text
        assert meaning in text
    outcome = shell.run("%%track?")
    assert "--register NAME" in outcome.stdout + str(outcome.displays)
    for kind, name in (("cell", "track"), ("line", "runs"), ("line", "promote"), ("line", "mlops")):
        assert shell.ip.magics_manager.magics[kind][name].__doc__


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # IPython's, of its completer
def test_completion(shell: Shell) -> None:
    from jupyter_mlops.cli.main import VERBS

    assert tuple(VERBS) == magics.VERBS

    def complete(text: str) -> list[str]:
        line = text.splitlines()[-1]
        return list(shell.ip.complete(None, line=line, cursor_pos=len(line))[1])

    assert "promote" in complete("%mlops pro")
    assert set(VERBS) <= set(complete("%mlops "))
    assert "--register" in complete("%%track --reg")
    assert "--name" in complete("%promote --n")
    assert "%%track" in complete("%%tra")


def test_the_line_below_other_code_says_where_it_belongs(shell: Shell) -> None:
    outcome = shell.run("# a comment\n%%track\nx = 1")
    assert outcome.ename == "UsageError"
    assert shell.sessions == []


def test_calling_the_magic_runs_the_code_and_says_that_it_is_no_run(shell: Shell) -> None:
    outcome = shell.run("get_ipython().run_cell_magic('track', '', 'x = 5')\nx")
    assert "5" in outcome.stdout
    assert "was not recorded" in outcome.stderr
    assert shell.sessions == []


def test_the_state_of_tracking(shell: Shell) -> None:
    first = shell.run("%track").stdout
    assert "No run in this session yet" in first
    assert "%%track?" in first
    shell.run("%%track --name mine\nx = 1 / 2")
    later = shell.run("%track").stdout
    assert str(shell.project.root) in later
    assert shell.session.session in later
    assert "mine" in later
    assert "1 runs not yet delivered" in later
    assert "options belong to %%track" in shell.run("%track --name x").stderr
    assert "(undo: %track off)" in shell.run("%track on").stdout
    assert "%track off" in shell.run("%track").stdout
    assert "needs its own %%track" in shell.run("%track off").stdout


def test_the_newest_runs(shell: Shell) -> None:
    assert "%%track" in shell.run("%runs").stdout
    for number in range(3):
        shell.run(f"%%track --name '<b>run {number}' \nscore = 1 / {number + 2}")
    (table,) = shell.run("%runs 2").displays
    assert table["text/plain"].splitlines()[0].startswith("run ")
    assert "run 2" in table["text/plain"]
    assert "run 0" not in table["text/plain"]
    assert "score=0.25" in table["text/plain"]
    assert "waiting" in table["text/plain"]
    assert "&lt;b&gt;run 2" in table["text/html"]
    HTMLParser().feed(table["text/html"])
    for wrong in ("x", "-1", "0", "1 2"):
        assert f"not '{wrong}'" in shell.run(f"%runs {wrong}").stderr


def test_the_command_line_in_a_child(shell: Shell) -> None:
    shell.run("%%track --name mine\nx = 1 / 2")
    outcome = shell.run("%mlops status --json")
    assert outcome.ename is None
    assert str(shell.project.root) in outcome.stdout
    bad = shell.run("%mlops runs show 'no such run'")
    assert bad.ename is None
    assert "no such run" in bad.stderr
    assert "jupyter mlops runs: exit code 2, bad usage or input" in bad.stderr
    assert "Verbs" in shell.run("%mlops").stdout


def test_promote_fills_in_the_notebook(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[list[str]] = []
    monkeypatch.setattr(child, "run_verb", said.append)
    assert "write %promote NOTEBOOK" in shell.run("%promote --name n").stderr
    notebook = shell.project.root / "my notebook.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    shell.run("%promote --name n --run 01AB")
    shell.run("%promote 'other one.ipynb' --name n")
    shell.run("%promote --steps one model")
    shell.run("%promote")
    assert said == [
        ["promote", str(notebook), "--name", "n", "--run", "01AB"],
        ["promote", "other one.ipynb", "--name", "n"],
        ["promote", str(notebook), "--steps", "one", "model"],
        ["promote", str(notebook)],
    ]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that stands in for ours in a child, so that a test decides what it does."""
    package = tmp_path / "jupyter_mlops"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return package / "__main__.py"


def test_the_childs_output_is_streamed(
    command: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flag = tmp_path / "seen"
    command.write_text(
        textwrap.dedent(
            f"""
            import sys, time
            from pathlib import Path
            print("ünï", sys.argv[1:])
            while not Path({str(flag)!r}).exists():  # The first line must be out before the rest.
                time.sleep(0.01)
            print("oops", file=sys.stderr)
            sys.stdout.buffer.write(b"\\xff\\n")
            sys.exit(4)
            """
        )
    )
    codes: list[int] = []
    words = ["promote", "a b", "-p"]
    runner = threading.Thread(target=lambda: codes.append(child.run_verb(words)))
    runner.start()
    out, deadline = "", time.monotonic() + 60
    while "\n" not in out and time.monotonic() < deadline:
        out += capsys.readouterr().out
        time.sleep(0.01)
    flag.touch()
    runner.join(60)
    assert out == "ünï ['promote', 'a b', '-p']\n"
    captured = capsys.readouterr()
    assert codes == [4]
    assert captured.out == "\ufffd\n"
    assert captured.err == ("oops\njupyter mlops promote: exit code 4, the replay differed\n")


def test_an_interrupt_reaches_the_child_once_and_then_the_cell(
    tmp_path: Path, command: Path
) -> None:
    command.write_text(
        textwrap.dedent(
            """
            import signal, sys, time
            try:
                print("ready", flush=True)
                time.sleep(60)
            except KeyboardInterrupt:
                time.sleep(0.3)  # A second signal would end this.
                print("cleaned up", flush=True)
                sys.exit(130)
            """
        )
    )
    code = "from jupyter_mlops.capture.child import run_verb\ntry:\n    run_verb(['run'])\nexcept KeyboardInterrupt:\n    print('interrupted')"  # noqa: E501
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)  # As Jupyter does: the whole group.
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert out == "cleaned up\ninterrupted\n"
    assert "jupyter mlops run: exit code 130, interrupted" in err


def test_a_child_is_not_this_kernel() -> None:
    env = {
        "PATH": "/bin", "JPY_SESSION_NAME": "/n.ipynb", "JPY_PARENT_PID": "1", "MLFLOW_RUN_ID": "x",
        "JUPYTER_MLOPS_NOTEBOOK": "/n.ipynb", "JUPYTER_MLOPS_PARENT_RUN": "y",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline", "JUPYTER_MLOPS_AGENT": "off",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
    }  # fmt: skip
    kept = child.child_environment(env)
    assert set(kept) - {"PYTHONUNBUFFERED", "PYTHONIOENCODING"} == {
        "PATH", "JUPYTER_MLOPS_AGENT", "MLFLOW_TRACKING_URI"
    }  # fmt: skip
    assert child.child_environment({"MPLBACKEND": "agg"})["MPLBACKEND"] == "agg"


@pytest.mark.parametrize(
    "code",
    [
        "import jupyter_mlops",
        "from IPython.core.interactiveshell import InteractiveShell as S; "
        "S.instance().run_line_magic('load_ext', 'jupyter_mlops')",
    ],
    ids=["import", "load_ext"],
)
def test_light_imports(code: str, tmp_path: Path) -> None:
    heavy = ("mlflow", "pandas", "sklearn", "papermill", "ipywidgets", "numpy", "click", "blake3")
    check = (
        f"; import sys; found = [m for m in {heavy!r} if m in sys.modules]; assert not found, found"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + check], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_comparing_in_the_notebook(shell: Shell) -> None:
    shell.run("%%track --name one\nC = 1.0\nscore = C / 4")
    shell.run("%%track --name two\nC = 2.0\nscore = C / 4")
    outcome = shell.run("%mlops compare -2 last")
    assert outcome.ename is None
    (shown,) = outcome.displays
    assert "score" in shown["text/plain"]
    assert "0.25" in shown["text/plain"]
    HTMLParser().feed(shown["text/html"])
    (why,) = shell.run("%mlops why -2 --metric score").displays
    assert "score" in why["text/plain"]
    assert "there is no run 'nothing'" in shell.run("%mlops compare nothing last").stderr
