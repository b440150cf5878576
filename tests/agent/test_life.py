"""How an agent comes to be, is found, is replaced, and ends."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from jupyter_mlops.capture import agent_client
from jupyter_mlops.config import Config
from jupyter_mlops.errors import AgentUnavailable
from jupyter_mlops.project import Project, open_project

from .living import agent_process, config_of, gone, kill, log_of, processes_of, until

# What `jupyter_mlops.agent` does, as an agent of an earlier version of this package.
OLDER = """
import sys
import jupyter_mlops.capture.agent_client as client
client.PROTOCOL = 0
from jupyter_mlops.agent.supervisor import run_agent
sys.exit(run_agent(sys.argv[2], foreground=False))
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_turned_off_none_is_started(project: Project) -> None:
    assert agent_client.ensure(project, Config(agent=False)) is False
    agent_client.nudge(project, Config(agent=False))
    assert agent_client.read_pointer(project) is None
    with pytest.raises(AgentUnavailable, match="no agent runs") as caught:
        agent_client.hello(project)
    assert "agent.log" in str(caught.value.hint)


def test_it_is_detached_and_clean(living: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline")
    monkeypatch.setenv("MLFLOW_RUN_ID", "of-one-cell")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///kept.db")
    assert agent_client.ensure(living, config_of(living)) is True
    process = agent_process(living)
    assert process.ppid() != os.getpid()
    assert os.getsid(process.pid) != os.getsid(0)
    assert process.cwd() == "/"
    environment = process.environ()
    assert not {"JPY_PARENT_PID", "MPLBACKEND", "MLFLOW_RUN_ID"} & set(environment)
    assert environment["MLFLOW_TRACKING_URI"] == "sqlite:///kept.db"
    assert f"{process.pid}" in log_of(living)
    # Nothing of ours is open in it: a kernel's sockets must close when the kernel does.
    targets = {os.readlink(f"/proc/{process.pid}/fd/{n}") for n in (0, 1)}
    assert targets == {"/dev/null"}


def test_only_this_user_gets_in(living: Project) -> None:
    agent_client.ensure(living, config_of(living))
    pointer = agent_client.read_pointer(living)
    assert pointer is not None
    assert pointer.socket is not None
    assert pointer.token is None
    assert mode(Path(pointer.socket)) == 0o600
    assert mode(Path(pointer.socket).parent) == 0o700
    assert mode(living.agent / "pointer.json") == 0o600
    assert mode(living.agent / "agent.log") == 0o600
    assert mode(living.agent) == 0o700


def test_a_second_one_is_not_started(living: Project) -> None:
    agent_client.ensure(living, config_of(living))
    first = agent_client.hello(living)["pid"]
    agent_client.ensure(living, config_of(living))
    assert agent_client.hello(living)["pid"] == first
    command = [sys.executable, "-P", "-m", "jupyter_mlops.agent", str(living.root)]
    assert subprocess.run(command, timeout=60).returncode == 0
    assert agent_client.hello(living)["pid"] == first


def test_many_who_start_it_at_once_get_one(living: Project) -> None:
    results: list[bool] = []
    starters = [
        threading.Thread(target=lambda: results.append(agent_client.ensure(living, Config())))
        for _ in range(6)
    ]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert results == [True] * 6
    until(lambda: len(processes_of(living)) == 1)
    assert processes_of(living)[0].pid == agent_client.hello(living)["pid"]


def test_a_nudge_starts_it(living: Project) -> None:
    agent_client.nudge(living, config_of(living))
    agent_client.nudge(living, config_of(living))  # one at a time: this one is not needed
    until(lambda: agent_client.read_pointer(living))
    assert agent_client.hello(living)["project"] == str(living.root)


@pytest.mark.parametrize("trouble", ["no python", "garbage", "read-only"])
def test_a_nudge_never_raises(
    living: Project, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    if trouble == "no python":
        monkeypatch.setattr(sys, "executable", str(living.root / "python"))
    elif trouble == "garbage":
        (living.agent / "pointer.json").write_bytes(b"\xff{")
    else:
        shutil.rmtree(living.agent)
        living.agent.write_text("a file where the folder was")
    agent_client.nudge(living, config_of(living))
    for thread in threading.enumerate():
        if thread.name == "mlops-nudge":
            thread.join()
    assert raised == []
    if trouble == "read-only":
        living.agent.unlink()
        living.agent.mkdir(mode=0o700)


def test_killed_with_9_it_is_replaced(living: Project) -> None:
    agent_client.ensure(living, config_of(living))
    pointer = agent_client.read_pointer(living)
    assert pointer is not None
    kill(agent_process(living))
    assert agent_client.read_pointer(living) == pointer  # it had no time to tidy up
    assert Path(str(pointer.socket)).exists()
    with pytest.raises(AgentUnavailable, match="does not answer"):
        agent_client.hello(living)
    agent_client.ensure(living, config_of(living))
    assert agent_client.hello(living)["pid"] != pointer.pid


def test_why_it_does_not_start_is_told(living: Project) -> None:
    (living.root / "pyproject.toml").write_text("[tool.jupyter-mlops]\nagent-idle = 'never'\n")
    with pytest.raises(AgentUnavailable, match="'agent_idle' must be float, not 'never'"):
        agent_client.ensure(living, Config())


def test_an_older_one_is_replaced(living: Project) -> None:
    older = subprocess.Popen([sys.executable, "-c", OLDER, "jupyter_mlops.", str(living.root)])
    until(lambda: agent_client.read_pointer(living))
    until(lambda: _answers(living))
    assert agent_client.hello(living)["protocol"] == 0
    assert agent_client.ensure(living, config_of(living)) is True
    assert older.wait(60) == 0
    greeting = agent_client.hello(living)
    assert (greeting["protocol"], greeting["pid"] == older.pid) == (1, False)


def test_the_foreground_takes_over_and_is_not_taken_over(living: Project) -> None:
    agent_client.ensure(living, config_of(living))
    detached = agent_process(living)
    command = [sys.executable, "-P", "-m", "jupyter_mlops.agent", str(living.root), "--foreground"]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until(lambda: gone(detached))
    until(lambda: _answers(living))
    assert agent_client.hello(living)["pid"] == first.pid
    second = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60)
    assert second.returncode == 2
    assert "runs in the foreground already" in second.stderr
    # Nor does a command that needs an agent start another.
    assert agent_client.ensure(living, config_of(living)) is True
    assert agent_client.hello(living)["pid"] == first.pid
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 0
    assert "agent ends: it was told to" in said


def test_it_ends_when_there_is_nothing_to_do(
    living: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_MLOPS_AGENT_IDLE", "1")
    agent_client.ensure(living, config_of(living))
    until(lambda: processes_of(living) == [])
    assert "there was nothing to do" in log_of(living)
    assert agent_client.read_pointer(living) is None


def test_it_ends_with_the_project_and_does_not_bring_it_back(living: Project) -> None:
    agent_client.ensure(living, config_of(living))
    process = agent_process(living)
    pointer = agent_client.read_pointer(living)
    assert pointer is not None
    for _ in range(50):  # the agent still removes, and writes, files of its own meanwhile
        shutil.rmtree(living.state, ignore_errors=True)
        if not living.state.exists():
            break
    until(lambda: gone(process))
    assert not living.state.exists()
    assert not Path(str(pointer.socket)).exists()


def test_it_is_not_started_for_a_project_that_is_gone(living: Project) -> None:
    shutil.rmtree(living.state)
    command = [sys.executable, "-P", "-m", "jupyter_mlops.agent", str(living.root)]
    assert subprocess.run(command, timeout=60).returncode == 2
    assert not living.state.exists()


def test_sigterm_ends_it_tidily(living: Project) -> None:
    agent_client.ensure(living, config_of(living))
    process = agent_process(living)
    agent_client.call_op(living, "hello")  # so that there is a worker
    process.terminate()
    until(lambda: processes_of(living) == [])
    assert sorted(p.name for p in living.agent.iterdir()) == ["agent.log", "lock", "worker.log"]


def test_stop_ends_even_one_that_is_stuck(living: Project) -> None:
    assert agent_client.stop(living) is None
    agent_client.ensure(living, config_of(living))
    process = agent_process(living)
    process.suspend()
    with pytest.raises(AgentUnavailable, match="did not answer within"):
        agent_client.hello(living, timeout=0.2)
    assert agent_client.stop(living, timeout=1.0) == process.pid
    assert gone(process)
    assert agent_client.stop(living) is None


def test_a_copied_project_does_not_find_the_originals_agent(
    living: Project, tmp_path: Path
) -> None:
    agent_client.ensure(living, config_of(living))
    # Neither sockets nor what SQLite keeps beside a database and removes as it pleases.
    passing = shutil.ignore_patterns("*.sock", "*.db-wal", "*.db-shm", "*.db-journal")
    shutil.copytree(living.root, tmp_path / "copy", ignore=passing)
    copy = open_project(tmp_path / "copy")
    assert (copy.agent / "pointer.json").exists()
    assert agent_client.read_pointer(copy) is None


def test_a_pointer_of_someone_else_is_not_followed(project: Project) -> None:
    pointer = agent_client.Pointer(
        1, "1.0", sys.executable, 1, 0.0, "boot", "host", str(project.state), socket="/nowhere"
    )
    path = project.agent / "pointer.json"
    path.write_text(json.dumps(asdict(pointer)))
    assert agent_client.read_pointer(project) == pointer
    if os.getuid() == 0:
        os.chown(path, 65534, 65534)
        assert agent_client.read_pointer(project) is None


def test_the_agent_imports_neither_mlflow_nor_pandas(living: Project) -> None:
    code = (
        "import sys; import jupyter_mlops.agent.supervisor, jupyter_mlops.agent.http; "
        "import jupyter_mlops.tracking; "
        "print(sorted({'mlflow', 'pandas', 'sklearn', 'papermill', 'numpy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    agent_client.ensure(living, config_of(living))
    agent_client.call(living, "/v1/deliver", {"interpreter": sys.executable})
    agent_client.call_op(living, "hello")
    mapped = {m.path for m in agent_process(living).memory_maps()}
    assert [path for path in mapped if "/pandas/" in path or "/numpy/" in path] == []


def _answers(project: Project) -> bool:
    try:
        return bool(agent_client.hello(project))
    except AgentUnavailable:
        return False


def test_no_zombie_is_left_by_children(living: Project) -> None:
    agent_client.ensure(living, config_of(living))
    child = psutil.Process(agent_client.call_op(living, "hello")["pid"])
    kill(child)
    until(lambda: agent_process(living).children() == [])


def test_killed_at_any_moment_of_its_start_it_is_no_obstacle(living: Project) -> None:
    chance = random.Random(5)
    command = [sys.executable, "-P", "-m", "jupyter_mlops.agent", str(living.root)]
    for _ in range(6):
        agent = subprocess.Popen(command)
        time.sleep(chance.uniform(0.0, 1.0))
        agent.kill()
        agent.wait()
    agent_client.ensure(living, config_of(living))
    pointer = agent_client.read_pointer(living)
    assert pointer is not None
    assert pointer.pid == agent_client.hello(living)["pid"]
    # What the killed ones left behind is gone, too.
    leftover = {path.name for path in living.agent.iterdir()}
    assert leftover == {"agent.log", "lock", "pointer.json"}
