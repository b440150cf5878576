"""``jupyter mlops schedule`` and ``jupyter mlops agent`` as a person uses them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from jupyter_mlops.capture import agent_client
from jupyter_mlops.cli.main import main
from jupyter_mlops.project import Project
from jupyter_mlops.scheduling import add_schedule, list_schedules, list_slots
from jupyter_mlops.tracking import find_run

from ..agent.living import agent_process, config_of, gone, until

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command in the project's folder; its exit code, stdout and stderr."""
    monkeypatch.chdir(project.root)

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["jupyter-mlops", *words])
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def test_add_says_when_and_what_it_needs(living: Project, pipeline: str, run: Run) -> None:
    code, out, _ = run(
        "schedule", "add", "flights", "--cron", "0 6 * * *", "--tz", "Europe/Berlin",
        "-p", "alpha", "0.25",
    )  # fmt: skip
    assert code == 0
    pid = agent_client.hello(living)["pid"]
    assert out.splitlines()[:2] == [
        "Scheduled flights: flights at '0 6 * * *' in Europe/Berlin.",
        "Next firings:",
    ]
    assert len([line for line in out.splitlines() if " 06:00 CE" in line]) == 3
    assert f"The agent runs (process {pid})" in out
    assert "It fires only while the agent runs" in out
    assert "jupyter mlops agent unit" in out
    assert "To take it back: jupyter mlops schedule rm flights" in out
    (schedule,) = list_schedules(living)
    assert schedule.parameters == {"alpha": 0.25}
    # The agent was told, and stays for it.
    until(lambda: agent_client.call(living, "/v1/status")["next_firing"] == schedule.next_at)
    assert agent_client.call(living, "/v1/status")["ends_in"] is None


def test_without_an_agent_add_says_so(project: Project, pipeline: str, run: Run) -> None:
    code, out, _ = run("schedule", "add", "flights", "--cron", "0 6 * * *", "--tz", "UTC")
    assert code == 0
    assert "No agent runs, so nothing fires: it is turned off (JUPYTER_MLOPS_AGENT)." in out
    code, out, err = run("schedule", "ls")
    assert code == 0
    assert "flights" in out
    assert "No agent runs, so nothing fires." in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["flights", "--cron", "0 25 * * *"], "'25' is not a valid hour"),
        (["flights", "--cron", "0 6 * *"], "has 4 fields, not 5"),
        (["flights", "--cron", "0 6 * * *", "--tz", "Berlin"], "'Berlin' is not a time zone"),
        (["taxi", "--cron", "0 6 * * *"], "no pipeline or notebook 'taxi'"),
        (["flights", "--cron", "0 6 * * *", "-p", "alpa", "1"], "did you mean 'alpha'?"),
        (["flights", "--cron", "0 6 * * *", "-p", "alpha", "high"], "expected a number"),
        (["flights"], "Missing option '--cron'"),
        (["flights", "--cron", "0 6 * * *", "--overlap", "kill"], "'kill' is not one of"),
    ],
)
def test_bad_input_is_exit_2_and_stores_nothing(
    project: Project, pipeline: str, run: Run, words: list[str], message: str
) -> None:
    code, out, err = run("schedule", "add", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert list_schedules(project) == []


def test_what_rm_removes_its_last_line_brings_back(
    project: Project, pipeline: str, run: Run
) -> None:
    before = add_schedule(
        project, pipeline, "30 2 * * MON", "America/New_York", {"alpha": 1.5, "fail": False},
        "all", "queue", retries=4,
    )  # fmt: skip
    code, out, _ = run("schedule", "rm", "flights")
    assert code == 0
    assert list_schedules(project) == []
    command = out.splitlines()[-1].removeprefix("To take it back: ")
    assert shlex.split(command)[:2] == ["jupyter", "mlops"]
    assert run(*shlex.split(command)[2:])[0] == 0
    (again,) = list_schedules(project)
    for name in ("pipeline", "cron", "timezone", "parameters", "catch_up", "overlap", "retries"):
        assert getattr(again, name) == getattr(before, name)
    assert run("schedule", "rm", "flights")[0] == 2


def test_json(project: Project, pipeline: str, run: Run) -> None:
    assert json.loads(run("schedule", "ls", "--json")[1]) == []
    words = ["schedule", "add", "flights", "--cron", "0 6 * * *", "--tz", "UTC", "--json"]
    added = json.loads(run(*words)[1])
    assert added["id"] == "flights"
    assert added["agent"] == {"running": False, "pid": None}
    assert [moment[10:] for moment in added["firings"]] == ["T06:00:00+00:00"] * 3
    (listed,) = json.loads(run("schedule", "ls", "--json")[1])
    assert listed["next_at"] == added["next_at"]
    assert json.loads(run("schedule", "show", "flights", "--json")[1])["slots"] == []
    assert json.loads(run("schedule", "rm", "flights", "--json")[1])["removed"] == "flights"
    code, out, _ = run("schedule", "show", "taxi", "--json")
    assert (code, json.loads(out)["error"]["reason"]) == (2, "not_found")


def test_fire_runs_the_pipeline_and_waits(
    mlflow_project: Project, living: Project, pipeline: str, run: Run
) -> None:
    add_schedule(living, pipeline, "0 6 * * *", "UTC", {"alpha": 0.25})
    code, out, _ = run("schedule", "fire", "flights")
    assert code == 0, out
    assert "step 1/1 train: completed" in out
    assert "flights: done" in out
    (slot,) = list_slots(living, "flights")
    assert (slot.kind, slot.state, slot.exit_code, slot.attempt) == ("manual", "done", 0, 1)
    assert slot.run_id is not None
    assert f"jupyter mlops runs show {slot.run_id}" in out
    found = find_run(living, slot.run_id)
    assert (found.status, found.pipeline, found.params["alpha"]) == ("FINISHED", "flights", "0.25")
    shown = run("schedule", "show", "flights")[1]
    assert slot.run_id in shown
    assert "alpha=0.25" in shown


def test_a_firing_that_fails_is_exit_1(
    living: Project, pipeline: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server that refuses at once: what is tested does not need MLflow.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    add_schedule(living, pipeline, "0 6 * * *", "UTC", {"fail": True})
    code, out, err = run("schedule", "fire", "flights", "--json")
    answer = json.loads(out)
    assert (code, answer["state"], answer["exit_code"]) == (1, "failed", 1)
    assert answer["detail"] == "step train: AssertionError"
    assert Path(answer["log"]).is_file()
    assert "step 1/1 train: failed" in err


def test_a_firing_whose_pipeline_is_gone_is_exit_2(
    living: Project, pipeline: str, run: Run
) -> None:
    add_schedule(living, pipeline, "0 6 * * *", "UTC")
    (living.pipelines / "flights" / "pipeline.yaml").unlink()
    code, out, _ = run("schedule", "fire", "flights")
    assert code == 2
    assert "flights: failed: there is no pipeline or notebook 'flights'" in out


def test_ctrl_c_cancels_the_firing(
    living: Project, pipeline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    add_schedule(living, pipeline, "0 6 * * *", "UTC", {"seconds": 600})
    command = [sys.executable, "-m", "jupyter_mlops", "schedule", "fire", "flights"]
    fire = subprocess.Popen(command, cwd=living.root, stdout=subprocess.PIPE, text=True)
    running = until(lambda: [s for s in list_slots(living, "flights") if s.state == "running"])
    worker = psutil.Process(running[0].pid)
    until(lambda: worker.children())  # its kernel
    tree = [worker, *worker.children(recursive=True)]
    fire.send_signal(signal.SIGINT)
    out, _ = fire.communicate(timeout=120)
    assert fire.returncode == 130
    assert "flights: cancelled" in out
    (slot,) = list_slots(living, "flights")
    assert (slot.state, slot.exit_code) == ("cancelled", 130)
    until(lambda: all(gone(process) for process in tree))


def test_a_firing_that_dies_is_told(living: Project, pipeline: str) -> None:
    add_schedule(living, pipeline, "0 6 * * *", "UTC", {"seconds": 600})
    command = [sys.executable, "-m", "jupyter_mlops", "schedule", "fire", "flights"]
    fire = subprocess.Popen(
        command, cwd=living.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    (running,) = until(lambda: [s for s in list_slots(living, "flights") if s.state == "running"])
    os.kill(running.pid or 0, signal.SIGKILL)
    _, err = fire.communicate(timeout=120)
    assert fire.returncode == 1
    assert "the firing of flights died: exit code -9" in err
    (slot,) = list_slots(living, "flights")
    assert slot.state == "failed"


def test_agent_start_status_stop(living: Project, run: Run) -> None:
    assert run("agent", "status")[1].startswith("No agent of")
    assert json.loads(run("agent", "status", "--json")[1])["running"] is False
    code, out, _ = run("agent", "start")
    pid = agent_client.hello(living)["pid"]
    assert code == 0
    assert f"runs (process {pid})" in out
    assert "To take it back: jupyter mlops agent stop" in out
    out = run("agent", "status")[1]
    assert f"in the background (process {pid})" in out
    assert "delivery: nothing waits" in out
    assert json.loads(run("agent", "status", "--json")[1])["pid"] == pid
    assert f"The agent (process {pid}) has ended." in run("agent", "stop")[1]
    assert "No agent runs." in run("agent", "stop")[1]


def test_agent_start_when_it_is_turned_off(project: Project, run: Run) -> None:
    code, _, err = run("agent", "start")
    assert code == 2
    assert "turned off" in err
    assert "jupyter mlops agent run" in err


def test_agent_run_is_the_agent(living: Project) -> None:
    environment = os.environ | {"JUPYTER_MLOPS_AGENT": "off"}  # said by hand, it runs all the same
    command = [sys.executable, "-m", "jupyter_mlops", "agent", "run"]
    agent = subprocess.Popen(
        command, cwd=living.root, env=environment, stderr=subprocess.PIPE, text=True
    )
    until(lambda: agent_client.read_pointer(living))
    until(lambda: agent_process(living).pid == agent.pid)
    agent.terminate()
    _, err = agent.communicate(timeout=60)
    assert agent.returncode == 0
    assert f"process {agent.pid}" in err


def test_stop_leaves_firings_and_stop_all_ends_them(
    living: Project, pipeline: str, run: Run
) -> None:
    add_schedule(living, pipeline, "0 0 1 1 *", "UTC", {"seconds": 600}, now=time.time() - 5)
    fire = subprocess.Popen(
        [sys.executable, "-m", "jupyter_mlops", "schedule", "fire", "flights"],
        cwd=living.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    (running,) = until(lambda: [s for s in list_slots(living, "flights") if s.state == "running"])
    worker = psutil.Process(running.pid)
    agent_client.ensure(living, config_of(living))
    out = run("agent", "stop")[1]
    assert "Still running: firings flights" in out
    assert "jupyter mlops agent stop --all" in out
    assert not gone(worker)
    answer = json.loads(run("agent", "stop", "--all", "--json")[1])
    assert answer == {"pid": None, "ended": {"firings": ["flights"], "deployments": []}}
    until(lambda: gone(worker))
    assert list_slots(living, "flights")[0].state == "cancelled"
    assert fire.wait(60) == 130


def test_unit_is_a_systemd_service(
    project: Project, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:secret@mlflow.example")
    code, out, _ = run("agent", "unit")
    assert code == 0
    assert "secret" not in out
    assert f'"{sys.executable}" "-P" "-m" "jupyter_mlops.agent" "{project.root}"' in out
    assert "systemctl --user enable --now jupyter-mlops-" in out
    assert "loginctl enable-linger" in out
    assert f'Environment="JUPYTER_RUNTIME_DIR={os.environ["JUPYTER_RUNTIME_DIR"]}"' in out
    if shutil.which("systemd-analyze"):
        (tmp_path / "agent.service").write_text(out)
        checked = subprocess.run(
            ["systemd-analyze", "verify", "--user", str(tmp_path / "agent.service")],
            env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}, capture_output=True, text=True,
        )  # fmt: skip
        assert "agent.service" not in checked.stderr  # it names the line that it cannot read
    settings = [
        line for line in out.splitlines() if line and not line.startswith(("#", "["))
    ]  # fmt: skip
    assert all("=" in line for line in settings)
