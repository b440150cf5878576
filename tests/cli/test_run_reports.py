"""What ``run`` writes for CI systems."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from jupyter_mlops.project import Project

from ..pipelines.conftest import write_notebook, write_pipeline
from .command_line import Mlops, command_line

PIPELINE = """\
version: 1
name: sums
parameters:
  a:
    type: integer
    default: 2
  source:
    type: string
    default: numbers.csv
steps:
  - name: add
    notebook: add.ipynb
    outputs:
      metrics_path: metrics.json
metrics: add.metrics_path
"""
POLICY = """\
version: 1
gates:
  - metric: score
    min: 2
  - name: no worse
    metric: score
    not_worse_than: champion
"""
PLOT = (
    "from IPython.display import Image, display\nimport base64\n"
    "display(Image(base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==')))"
)


@pytest.fixture
def mlops(
    sums: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Mlops:
    """The command line in this process, in the project's root; nothing is delivered far away."""
    monkeypatch.chdir(sums.root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("JUPYTER_MLOPS_DELIVERY_TIMEOUT", "1")
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    return command_line(monkeypatch, capfd)


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *who, "-C", str(root), *words], check=True, capture_output=True)


def write(project: Project, score: str) -> None:
    folder = write_pipeline(project, "sums", PIPELINE)
    (folder / "policy.yaml").write_text(POLICY)
    write_notebook(
        folder / "add.ipynb",
        'a = 2\nmetrics_path = "metrics.json"\nsource = "numbers.csv"',
        "import json, pathlib\nrows = pathlib.Path(source).read_text().split()\n"
        "print('half', end='\\rwhole\\n')",
        PLOT,
        f"score = {score}",
        "with open(metrics_path, 'w') as f:\n    json.dump({'score': score}, f)",
        tags={0: "parameters"},
    )


@pytest.fixture
def sums(project: Project) -> Project:
    """A project in git with one small pipeline; its data are not in git."""
    write(project, "a + 0.5")
    proof = {
        "version": 1, "notebook": "n.ipynb", "metrics": {},
        "sources": [{"source": "numbers.csv", "parameter": "source", "exact": False}],
    }  # fmt: skip
    (project.pipelines / "sums" / "proof.json").write_text(json.dumps(proof))
    (project.root / "numbers.csv").write_text("n\n1\n2\n")
    (project.root / ".gitignore").write_text("*.csv\n")
    git(project.root, "init", "-q", "-b", "main")
    git(project.root, "add", "-A")
    git(project.root, "commit", "-q", "-m", "one")
    return project


def test_a_report_beside_a_run_of_the_base_commit(sums: Project, mlops: Mlops) -> None:
    write(sums, "a * 2")
    result = mlops("run", "sums", "--report", "out", "--base-ref", "main", "--output",
                   "--images-url", "https://example.org/r/")  # fmt: skip
    assert result.code == 0, result.out + result.err
    assert "    | whole\n" in result.out
    out = sums.root / "out"
    text = (out / "comment.md").read_text()
    assert text.startswith("<!-- jupyter-mlops:sums -->")
    assert "| score | 2.5 | **4** | +1.5 | ✔ better |" in text
    assert "Code: 1 cell changed in pipelines/sums/add.ipynb" in text
    assert "score 4 is not worse than the base's 2.5" in text.replace("&#95;", "_")
    assert "Data:" not in text
    (image,) = (out / "images").iterdir()
    assert f'src="https://example.org/r/images/{image.name}"' in text
    assert image.read_bytes().startswith(b"\x89PNG")
    assert "data:image/png;base64," in (out / "report.html").read_text()
    assert ElementTree.parse(out / "junit.xml").getroot().attrib["failures"] == "0"
    assert (out / "notebooks" / "sums" / "add.ipynb").is_file()
    (run,) = json.loads((out / "report.json").read_text())["runs"]
    assert (run["data"][0]["rows"], run["data"][0]["columns"]) == (2, {"n": "int64"})
    (base,) = json.loads((out / "base.json").read_text())["runs"]
    assert base["metrics"] == {"score": 2.5}
    listed = subprocess.run(
        ["git", "-C", str(sums.root), "worktree", "list"], capture_output=True, text=True
    )
    assert len(listed.stdout.splitlines()) == 1

    # The same against the file, with what a second run would add to it.
    (sums.root / "numbers.csv").write_text("n\n1\n2\n3\n")
    again = mlops("run", "sums", "--report", "out2", "--base", "out", "--repeats", "1", "--json")
    assert again.code == 0
    assert json.loads(again.out)["metrics"] == {"score": 4.0}
    text = (sums.root / "out2" / "comment.md").read_text()
    assert "| score | 4 | 4 |  | = same |" in text
    assert "2 → 3 rows (+1)" in text


def test_in_github_actions_the_job_gets_annotations_and_a_summary(
    sums: Project, mlops: Mlops, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(sums, "1 / 0")
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = mlops("run", "sums", "-p", "a", "3", "--junit", "j.xml")
    assert result.code == 1
    (line,) = [line for line in result.out.splitlines() if line.startswith("::error")]
    notebook = (sums.pipelines / "sums" / "add.ipynb").read_text().splitlines()
    number = int(line.partition("line=")[2].partition(",")[0])
    assert line.startswith("::error file=pipelines/sums/add.ipynb,")
    assert notebook[number - 1].strip() == '"source": "score = 1 / 0"' or (
        notebook[number - 1].strip() == '"score = 1 / 0"'
    )
    text = summary.read_text()
    assert text.startswith("before\n")
    assert "✘ sums failed" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "jupyter mlops run sums -p a 3" in text
    failure = ElementTree.parse(sums.root / "j.xml").getroot().find(".//failure")
    assert failure is not None
    assert "ZeroDivisionError" in str(failure.text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--base", "none.json"], "none.json cannot be read"),
        (["--base", "numbers.csv"], "numbers.csv is not a report"),
        (["--base", "a", "--base-ref", "b"], "both say what to compare with"),
    ],
)
def test_a_base_that_cannot_be_is_bad_input_before_anything_starts(
    sums: Project, mlops: Mlops, arguments: list[str], message: str
) -> None:
    result = mlops("run", "sums", "--report", "out", *arguments)
    assert result.code == 2
    assert message in result.err
    assert not list(sums.runs.glob("*"))


def test_a_commit_that_is_not_here_is_bad_input(sums: Project, mlops: Mlops) -> None:
    result = mlops("run", "sums", "--report", "out", "--base-ref", "origin/none")
    assert result.code == 2
    assert "there is no commit 'origin/none' here" in result.err
    assert "fetch-depth: 0" in result.err
    assert not list(sums.runs.glob("*"))


def test_secrets_are_in_no_report(sums: Project, mlops: Mlops) -> None:
    folder = sums.root / "n"
    write_notebook(folder / "a.ipynb", "api_key = ''", "raise ValueError(api_key)",
                   tags={0: "parameters"})  # fmt: skip
    result = mlops("run", "n/a.ipynb", "-p", "api_key", "hush-hush-1234", "--report", "out")
    assert result.code == 1
    for path in (sums.root / "out").rglob("*"):
        if path.is_file():
            assert b"hush-hush-1234" not in path.read_bytes(), path
    assert os.listdir(sums.root / "out" / "notebooks") == ["a.ipynb"]
