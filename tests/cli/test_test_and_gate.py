"""``jupyter mlops test`` and ``jupyter mlops gate``."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from jupyter_mlops.journal import SessionJournal
from jupyter_mlops.model.events import RunRecord
from jupyter_mlops.model.ids import new_id
from jupyter_mlops.model.ports import ExecutionResult
from jupyter_mlops.model.wiring import replaced_port
from jupyter_mlops.project import Project

from ..pipelines.conftest import write_notebook
from .command_line import Mlops
from .test_run_reports import POLICY, git, mlops, sums, write

__all__ = ["mlops", "sums"]  # fixtures


class InProcess:
    """An executor that runs the cells here: what is judged is the result, not the kernel."""

    def check(self, notebook: Path, *, kernel: str | None, parameters: bool = True) -> None:
        pass

    def execute(
        self, notebook: Path, output: Path, parameters: Any, *, cwd: Path, **options: Any
    ) -> ExecutionResult:
        data = json.loads(notebook.read_text())
        sources = ["".join(cell["source"]) for cell in data["cells"]]
        first = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
        names: dict[str, Any] = {}
        output.write_text(json.dumps(data))
        for number, source in enumerate([sources[0], first, *sources[1:]], 1):
            try:
                with contextlib.chdir(cwd), contextlib.redirect_stdout(io.StringIO()):
                    exec(source, names)
            except Exception as problem:
                error = {"ename": type(problem).__name__, "evalue": str(problem), "cell": number}
                return ExecutionResult("failed", output, 0.1, error)
        return ExecutionResult("completed", output, 0.1)


@pytest.fixture
def quick() -> Iterator[None]:
    with replaced_port("executor", InProcess):
        yield


def prove(project: Project, **changes: Any) -> None:
    """Write a proof of the pipeline ``sums``."""
    proof: dict[str, Any] = {
        "version": 1, "verdict": "equal", "run_id": "01AAAAAAAAAAAAAAAAAAAAAAAA",
        "notebook": "n.ipynb", "metrics": {"score": {"tracked": 2.5, "replayed": 2.5}},
        "sources": [{"source": "numbers.csv", "parameter": "source", "exact": False}],
    }  # fmt: skip
    path = project.pipelines / "sums" / "proof.json"
    path.write_text(json.dumps(proof | changes))


def test_a_pipeline_that_gives_what_its_proof_says(sums: Project, mlops: Mlops) -> None:
    prove(sums)
    result = mlops("test", "--junit", "j.xml")
    assert result.code == 0, result.out + result.err
    assert "sums equals its proof (data: auto" in result.out
    names = [case.attrib["name"] for case in ElementTree.parse("j.xml").iter("testcase")]
    assert "equals its proof" in names
    assert not list(sums.state.glob("mlflow.db"))  # nothing was delivered for it


@pytest.mark.usefixtures("quick")
def test_another_result_is_exit_code_4(sums: Project, mlops: Mlops) -> None:
    source = {"source": "numbers.csv", "parameter": "source", "digest": "blake3:0", "exact": False}
    prove(sums, files={"add.ipynb": "0" * 64}, sources=[source])
    write(sums, "a * 2")
    result = mlops("test", "sums", "--json", "--report", "out")
    assert result.code == 4
    (found,) = json.loads(result.out)["pipelines"]
    assert found["verdict"] == "differs"
    assert found["reasons"] == [
        "score: tracked 2.5, now 4.0",
        "changed since the proof was made: add.ipynb",
        "numbers.csv is not what the proof was made with",
    ]
    assert found["runs"] == 2  # the second was the same, so it is not chance
    assert "Differs** from its proof" in Path("out/comment.md").read_text()


@pytest.mark.usefixtures("quick")
def test_what_the_proof_or_the_caller_tolerates_is_within_tolerance(
    sums: Project, mlops: Mlops
) -> None:
    write(sums, "a + 0.51")
    prove(sums, tolerance={"score": {"low": 2.4, "high": 2.6, "replayed": [2.45, 2.5, 2.55]}})
    assert "is within the tolerance of its proof" in mlops("test").out
    prove(sums)
    assert mlops("test", "--rtol", "0.01").code == 0
    assert mlops("test", "--rtol", "0.001").code == 4


@pytest.mark.usefixtures("quick")
def test_what_is_random_is_judged_by_repeated_runs(sums: Project, mlops: Mlops) -> None:
    write(sums, "[2.45, 2.6, 2.52][len(list(pathlib.Path('.mlops/runs').glob('*'))) - 1]")
    prove(sums)
    result = mlops("test", "--json")
    assert result.code == 0
    (found,) = json.loads(result.out)["pipelines"]
    assert (found["verdict"], found["runs"]) == ("within_tolerance", 3)


@pytest.mark.usefixtures("quick")
def test_a_run_that_fails_is_exit_code_1_and_the_others_are_tested(
    sums: Project, mlops: Mlops
) -> None:
    prove(sums)
    folder = sums.pipelines / "bad"
    write_notebook(folder / "a.ipynb", "1 / 0")
    (folder / "pipeline.yaml").write_text(
        "version: 1\nname: bad\nsteps:\n  - name: a\n    notebook: a.ipynb\n"
    )
    result = mlops("test")
    assert result.code == 1
    assert "bad FAILED: step a: In [1]: ZeroDivisionError: division by zero" in result.out
    assert result.out.splitlines()[-2:] == ["bad FAILED", "sums equals its proof"]


@pytest.mark.usefixtures("quick")
def test_without_a_proof_nothing_is_proven(sums: Project, mlops: Mlops) -> None:
    (sums.pipelines / "sums" / "proof.json").unlink()
    result = mlops("test", "sums")
    assert result.code == 0
    assert "it has no proof.json to compare with" in result.out


@pytest.mark.usefixtures("quick")
def test_no_pipelines_and_unknown_ones_are_bad_input(
    project: Project, monkeypatch: pytest.MonkeyPatch, sums: Project, mlops: Mlops
) -> None:
    assert mlops("test", "none").code == 2
    for path in (sums.pipelines / "sums").iterdir():
        path.unlink()
    result = mlops("test")
    assert result.code == 2
    assert "there are no pipelines" in result.err


def finished(project: Project, score: float) -> str:
    """A finished run of ``sums`` in the journal."""
    session = new_id()
    journal = SessionJournal(project.journal, session)
    run = RunRecord(
        run_id=new_id(), session=session, name="sums", status="FINISHED", started=1.0, ended=2.0,
        kind="pipeline", pipeline="sums", metrics={"score": score},
    )  # fmt: skip
    journal.append(run.to_dict(), sync=True)
    journal.close()
    return run.run_id


def test_a_gate_judges_a_run_and_a_pipelines_newest(sums: Project, mlops: Mlops) -> None:
    run_id = finished(sums, 1.0)
    result = mlops("gate", run_id)
    assert result.code == 3
    assert "NO   score: score 1 is below the minimum 2" in result.out
    newer = finished(sums, 3.0)
    result = mlops("gate", "sums", "--json")
    assert result.code == 0
    data = json.loads(result.out)
    assert data["passed"] is True
    assert data["results"][0]["name"] == f"sums, run {newer}"
    assert mlops("gate", "sums", "--alias", "shadow").out == (
        f"sums, run {newer}: no gate guards shadow\n"
    )


@pytest.mark.usefixtures("quick")
def test_a_gate_compares_a_report_with_a_report_or_a_commit(sums: Project, mlops: Mlops) -> None:
    assert mlops("run", "sums", "--report", "base").code == 0
    write(sums, "a + 0.25")
    assert mlops("run", "sums", "--report", "head").code == 0
    result = mlops("gate", "head", "--against", "base/report.json")
    assert result.code == 3
    assert "score 2.25 is worse than the base's 2.5" in result.out
    result = mlops("gate", "head/report.json", "--against", "main")
    assert result.code == 3
    assert "DOES NOT PASS the gates of champion, beside main" in result.out
    git(sums.root, "checkout", "-q", "-b", "other")
    git(sums.root, "commit", "-q", "-am", "two")
    assert mlops("gate", "head", "--against", "other").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "there is no pipeline, run, version or report 'none'"),
        (["sums"], "no finished run of sums is known here"),
        (["sums@1"], "sums"),
        (["none.json"], "none.json cannot be read"),
        (["sums", "--alias", "1"], "1"),
    ],
)
def test_what_a_gate_cannot_judge(
    sums: Project, mlops: Mlops, arguments: list[str], message: str
) -> None:
    result = mlops("gate", *arguments)
    assert result.code == 2, result.out + result.err
    assert message in result.err


@pytest.mark.usefixtures("quick")
def test_a_policy_that_is_not_valid_is_bad_input(sums: Project, mlops: Mlops) -> None:
    finished(sums, 3.0)
    (sums.pipelines / "sums" / "policy.yaml").write_text(POLICY + "more: 1\n")
    assert mlops("gate", "sums").code == 2
