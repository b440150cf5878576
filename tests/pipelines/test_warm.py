"""Headless runs take warm kernels by themselves: a pipeline its own, a notebook the agent's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from nbformat.v4 import new_code_cell, new_notebook, writes

from jupyter_mlops.config import Config
from jupyter_mlops.pipelines import run_pipeline, warm_run
from jupyter_mlops.project import Project
from jupyter_mlops.warm import held_zygotes

from ..agent.living import config_of, living, until

__all__ = ["living"]

STEPS = ("a", "b", "c")
WAIT = """
import os, pathlib, time
folder = pathlib.Path(os.environ["JUPYTER_RUNTIME_DIR"]) / "mlops"
for _ in range(600):
    if list(folder.glob("z-*.sock")):
        break
    time.sleep(0.1)
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="warm kernels need Linux")


def notebook(path: Path, *cells: str) -> Path:
    content = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    content.metadata["kernelspec"] = {"name": "python3", "display_name": "p", "language": "python"}
    path.write_text(writes(content))
    return path


def default_provisioner() -> str:
    return str(KernelProvisionerFactory.instance().default_provisioner_name)


def three(project: Project, cells: dict[str, tuple[str, ...]], last: str = "") -> None:
    """A pipeline of three steps; ``last`` is what the third one says beside its notebook."""
    folder = project.root / "pipelines" / "three"
    folder.mkdir(parents=True)
    text = "version: 1\nname: three\nsteps:\n"
    for name in STEPS:
        notebook(folder / f"{name}.ipynb", *cells[name])
        text += f"  - name: {name}\n    notebook: {name}.ipynb\n"
    (folder / "pipeline.yaml").write_text(text + last)


def test_the_first_waits_where_it_imports_everything_itself(project: Project) -> None:
    both = ("import colorsys, wave",)
    three(project, {"a": both, "b": both, "c": ("import wave",)}, "    needs: [a, b]\n")
    with warm_run(project, Config(agent=False), "three") as choice:
        outcome = run_pipeline(project, Config(agent=False), "three", {}, jobs=2)
    assert outcome.status == "FINISHED"
    assert choice is not None
    assert [(one["start"], one["why"]) for one in choice.starts] == [("fork", "forked")] * 3
    assert not [one for one in held_zygotes() if "runner" in one["owners"]]


def test_a_pipeline_of_three_holds_its_own(project: Project) -> None:
    # The first ends when the zygote is ready: what is tested is that it is taken then.
    three(project, {"a": ("1", WAIT), "b": ("import colorsys", "1"), "c": ("1", "1")})
    with warm_run(project, Config(agent=False), "three") as choice:
        assert default_provisioner() == "mlops-zygote"
        outcome = run_pipeline(project, Config(agent=False), "three", {}, jobs=1)
    assert outcome.status == "FINISHED"
    assert choice is not None
    assert choice.modules == ("colorsys", "os", "pathlib", "time")
    starts = [(one["start"], one["why"]) for one in choice.starts]
    assert starts[0] == ("cold", "no zygote runs for its interpreter and modules")
    assert starts[1:] == [("fork", "forked")] * 2
    assert [(one["step"], one["start"]) for one in outcome.kernels] == [
        ("a", "cold"),
        ("b", "fork"),
        ("c", "fork"),
    ]
    assert not [one for one in held_zygotes() if "runner" in one["owners"]]
    assert default_provisioner() == "local-provisioner"


def test_switched_off_or_not_found_nothing_is_chosen(project: Project) -> None:
    notebook(project.root / "one.ipynb", "1")
    with warm_run(project, Config(warm=False), "one.ipynb") as choice:
        assert choice is None
        assert default_provisioner() == "local-provisioner"
    with warm_run(project, Config(), "nothing") as choice:
        assert choice is None


def test_a_notebook_takes_the_agents(living: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_mlops.capture import agent_client

    monkeypatch.chdir(living.root)
    notebook(living.root / "one.ipynb", "import colorsys")
    config = config_of(living)
    agent_client.ensure(living, config)

    def run() -> str:
        with warm_run(living, config, "one.ipynb") as choice:
            outcome = run_pipeline(living, config, "one.ipynb", {})
        assert outcome.status == "FINISHED"
        assert choice is not None
        return str(choice.starts[0]["start"])

    assert run() == "cold"

    def held() -> list[str]:
        return [one["state"] for one in agent_client.call(living, "/v1/status")["warm"]]

    assert len(held()) == 1
    until(lambda: held() == ["ready"])
    assert run() == "fork"
