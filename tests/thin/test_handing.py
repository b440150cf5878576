"""What a command does through a runner is what it does by itself."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ..agent.living import until
from .conftest import REPOSITORY, Place

SLEEP = "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(60)"
BY_ITSELF = {"JUPYTER_MLOPS_RUNNER": "off"}


def same(text: str) -> str:
    """Without what differs from run to run: ids and durations."""
    return re.sub(r"\b[0-9A-Z]{26}\b", "RUN", re.sub(r"\d+(\.\d+)? (s|ms)\b", "TIME", text))


@pytest.fixture(autouse=True)
def _not_begun(place: Place) -> None:
    (place.project.root / "begun").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--help"],
        ["run", "nowhere"],
        ["run", "nowhere.ipynb", "--json"],
        ["run", "said.ipynb", "-p", "wrong", "1"],
        ["run", "--nonsense"],
    ],
    ids=" ".join,
)
def test_words_and_exit_codes_are_equal(place: Place, words: list[str]) -> None:
    place.notebook("said.ipynb", "print('said')")
    before = place.taken()
    handed = place.run(*words)
    assert place.taken() == before + 1
    alone = place.run(*words, env=BY_ITSELF)
    assert place.taken() == before + 1
    assert (handed.returncode, handed.stdout, handed.stderr) == (
        alone.returncode, alone.stdout, alone.stderr,
    )  # fmt: skip


def test_a_run_sees_the_same_process(place: Place, tmp_path: Path) -> None:
    # The kernel inherits what the command has: folder, environment, umask and limits.
    shown = place.notebook(
        "shown.ipynb",
        "import os, resource, json, sys\n"
        "mask = os.umask(0)\n"
        "where = open(os.environ['SHOWN'], 'w')\n"
        "json.dump([os.getcwd(), mask, resource.getrlimit(resource.RLIMIT_NOFILE), sys.prefix,\n"
        "           os.environ.get('MINE'), os.environ.get('PATH')], where)\n"
        "where.close()",
    )
    results = []
    before = place.taken()
    for number, more in enumerate([{}, BY_ITSELF]):
        target = tmp_path / f"{number}.json"
        env = place.env | more | {"SHOWN": str(target), "MINE": "x"}
        limited = f"ulimit -n 700; umask 037; exec {sys.executable} -m jupyter_mlops run {shown}"
        done = subprocess.run(
            ["sh", "-c", limited], env=env, cwd=place.project.root, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr + done.stdout
        results.append((target.read_text(), same(done.stdout), done.stderr))
    assert results[0] == results[1]
    assert place.taken() == before + 1


def test_a_failing_notebook(place: Place) -> None:
    place.notebook("fails.ipynb", "1 / 0")
    before = place.taken()
    handed = place.run("run", "fails.ipynb")
    alone = place.run("run", "fails.ipynb", env=BY_ITSELF)
    assert place.taken() == before + 1
    assert handed.returncode == alone.returncode == 1
    assert same(handed.stdout) == same(alone.stdout)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_reach_the_run(place: Place, number: int, code: int) -> None:
    runner = place.ready()
    client = place.start("run", place.notebook("long.ipynb", SLEEP))
    place.child(client, runner)
    client.send_signal(number)
    out, err = client.communicate(timeout=60)
    assert client.returncode == code, out + err
    assert "Interrupted after" in out
    assert runner.children() == []


def test_a_terminal_is_the_runs_own(place: Place) -> None:
    runner = place.ready()
    mine, theirs = pty.openpty()
    client = place.start(
        "run", place.notebook("long.ipynb", "1", SLEEP),
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # its terminal from now on
    )  # fmt: skip
    os.close(theirs)
    place.child(client, runner)
    os.write(mine, b"\x03")
    said = b""
    try:
        while part := os.read(mine, 65536):
            said += part
    except OSError:  # the terminal hangs up when the last process has closed it
        pass
    os.close(mine)
    assert client.wait(60) == 130
    assert b"Interrupted after" in said
    assert b"\r\x1b[2K  [1/2] 1" in said  # a line that is drawn again


def test_two_at_once(place: Place) -> None:
    before = place.taken()
    names = [place.notebook(f"{name}.ipynb", f"print('{name}')") for name in ("one", "two")]
    clients = [place.start("run", name) for name in names]
    for client, name in zip(clients, names, strict=True):
        out, err = client.communicate(timeout=120)
        assert client.returncode == 0, err
        assert name in out
    assert place.taken() == before + 2


def test_the_client_is_killed(place: Place) -> None:
    runner = place.ready()
    client = place.start("run", place.notebook("long.ipynb", SLEEP))
    child = place.child(client, runner)
    kernels = child.children(recursive=True)
    client.kill()
    client.communicate()
    until(lambda: not child.is_running())
    until(lambda: not any(k.is_running() and k.status() != "zombie" for k in kernels))


def test_the_run_is_killed(place: Place) -> None:
    runner = place.ready()
    client = place.start("run", place.notebook("long.ipynb", SLEEP))
    place.child(client, runner).kill()
    client.communicate(timeout=60)
    assert client.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("flags", "env"),
    [
        (["-W", "ignore"], {}),
        (["-O"], {}),
        ([], {"PYTHONUTF8": "1"}),
        ([], {"JUPYTER_MLOPS_AGENT": "off"}),
        ([], {"JUPYTER_MLOPS_RUNNER": "0"}),
    ],
    ids=["warnings", "optimised", "environment", "no agent", "switched off"],
)
def test_what_would_differ_is_done_here(
    place: Place, flags: list[str], env: dict[str, str]
) -> None:  # fmt: skip
    before = place.taken()
    command = [sys.executable, *flags, "-m", "jupyter_mlops", "run", "nowhere"]
    # In CI no other runner is asked for: the one that is here stays as it is.
    given = place.env | env | {"CI": "true"}
    done = subprocess.run(command, env=given, cwd=place.project.root, capture_output=True)
    assert done.returncode == 2
    assert place.taken() == before


def test_a_shadowed_module_and_other_verbs_are_done_here(place: Place) -> None:
    before = place.taken()
    (place.project.root / "click.py").write_text("raise SystemExit(33)")
    try:
        assert place.run("run", "nowhere").returncode == 33
    finally:
        (place.project.root / "click.py").unlink()
    assert place.run("runs", "ls").returncode == 0
    assert place.taken() == before


def test_the_client_imports_little(place: Place) -> None:
    code = (
        "import sys\n"
        "from jupyter_mlops.thin import client, handing\n"
        "heavy = {'click', 'jupyter_client', 'dataclasses', 'pathlib', 'subprocess', 'tomllib'}\n"
        "print(sorted(heavy & set(sys.modules)), [m for m in sys.modules if 'mlops' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", code],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    heavy, _, ours = done.stdout.partition("] ")
    assert heavy == "["
    assert "jupyter_mlops.errors" not in ours
    assert "jupyter_mlops.cli" not in ours
