"""``jupyter mlops ci``: workflows are written with consent, run in a clean clone, and comment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from jupyter_mlops.cli.ci_comment import post_comment
from jupyter_mlops.cli.main import cli
from jupyter_mlops.errors import ServiceError, UsageError
from jupyter_mlops.pipelines.yaml_text import parse_yaml
from jupyter_mlops.project import Project
from jupyter_mlops.snapshots.service import take

from .command_line import Mlops
from .test_run_reports import git, mlops, sums, write
from .test_test_and_gate import prove

__all__ = ["mlops", "sums"]  # fixtures
WORKFLOW = ".github/workflows/mlops.yml"


class Host:
    """Comments as GitHub and GitLab keep them, with what was asked of them."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str, str]] = []
        self.status = 200
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = int(self.path.rpartition("page=")[2])
                self.answer(host.comments[(page - 1) * 100 : page * 100])

            def do_POST(self) -> None:
                made = {"id": len(host.comments) + 1, "body": self.body(), "html_url": "https://c"}
                host.comments.append(made)
                self.answer(made)

            def do_PATCH(self) -> None:
                number = int(self.path.rpartition("/")[2])
                host.comments[number - 1]["body"] = self.body()
                self.answer(host.comments[number - 1])

            do_PUT = do_PATCH

            def body(self) -> str:
                length = int(self.headers["Content-Length"])
                return str(json.loads(self.rfile.read(length))["body"])

            def answer(self, data: Any) -> None:
                token = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
                host.asked.append((self.command, self.path, token))
                text = json.dumps(data).encode()
                self.send_response(host.status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def github(self, event: Path) -> dict[str, str]:
        event.write_text(json.dumps({"pull_request": {"number": 7}}))
        return {
            "GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "t0ken", "GITHUB_REPOSITORY": "a/b",
            "GITHUB_API_URL": self.url, "GITHUB_EVENT_PATH": str(event),
        }  # fmt: skip


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "comment.md"
    path.write_text("<!-- jupyter-mlops:sums -->\none\n")
    return path


def test_the_comment_of_the_run_before_is_updated(host: Host, report: Path, tmp_path: Path) -> None:
    env = host.github(tmp_path / "event.json")
    host.comments = [{"id": n, "body": f"{n}"} for n in range(1, 151)]
    assert not post_comment(report, number=None, env=env).updated
    report.write_text("<!-- jupyter-mlops:sums -->\ntwo\n")
    posted = post_comment(report, number=None, env=env)
    assert (posted.updated, posted.url) == (True, "https://c")
    assert [c["body"] for c in host.comments[150:]] == ["<!-- jupyter-mlops:sums -->\ntwo\n"]
    other = tmp_path / "other.md"
    other.write_text("<!-- jupyter-mlops:others -->\n")
    assert not post_comment(other, number=None, env=env).updated
    assert host.asked[2] == ("POST", "/repos/a/b/issues/7/comments", "Bearer t0ken")


def test_gitlab_keeps_notes(host: Host, report: Path) -> None:
    env = {
        "GITLAB_CI": "true", "GITLAB_TOKEN": "t0ken", "CI_API_V4_URL": host.url,
        "CI_PROJECT_ID": "3", "CI_MERGE_REQUEST_IID": "9",
    }  # fmt: skip
    assert not post_comment(report, number=None, env=env).updated
    assert post_comment(report, number=None, env=env).updated
    assert host.asked[-1] == ("PUT", "/projects/3/merge_requests/9/notes/1", "t0ken")


def test_what_goes_wrong_with_a_comment(host: Host, report: Path, tmp_path: Path) -> None:
    env = host.github(tmp_path / "event.json")
    host.status = 403
    with pytest.raises(UsageError, match="refused: 403"):
        post_comment(report, number=None, env=env)
    host.status = 502
    with pytest.raises(ServiceError, match="answered 502"):
        post_comment(report, number=None, env=env)
    away = {**env, "GITHUB_API_URL": "http://127.0.0.1:9"}
    with pytest.raises(ServiceError, match="did not answer"):
        post_comment(report, number=None, env=away)
    with pytest.raises(UsageError, match="no job of"):
        post_comment(report, number=None, env={})
    with pytest.raises(UsageError, match="GITHUB_TOKEN is not set"):
        post_comment(report, number=None, env={**env, "GITHUB_TOKEN": ""})
    (tmp_path / "event.json").write_text("{}")
    with pytest.raises(UsageError, match="not about a pull request"):
        post_comment(report, number=None, env=env)
    report.write_text("no mark")
    with pytest.raises(UsageError, match="does not begin with the mark"):
        post_comment(report, number=7, env=env)


def init(project: Project, *words: str, answers: str | None = None) -> Any:
    """Call ``ci init`` with somebody at the keyboard, or with nobody."""
    runner = CliRunner()
    return runner.invoke(cli, ["ci", "init", *words], input=answers, standalone_mode=False)


@pytest.fixture
def there(sums: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(sums.root)
    return sums


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "click.testing._NamedTextIOWrapper.isatty", lambda self: True, raising=False
    )


@pytest.mark.usefixtures("somebody")
def test_it_asks_and_takes_the_answers(there: Project) -> None:
    result = init(there, answers="both\ncache\ns3://bucket/prefix\n")
    assert result.exception is None, result.output
    assert "Where do a job's data come from?" in result.output
    assert "Remote of the snapshots" in result.output
    assert "secrets: AWS_ACCESS_KEY_ID" in result.output
    for name in (WORKFLOW, ".gitlab-ci.yml", ".gitlab/mlops.gitlab-ci.yml"):
        assert (there.root / name).is_file(), name
    assert "actions/cache" in (there.root / WORKFLOW).read_text()


def test_without_anybody_to_ask_it_wants_to_be_told(there: Project) -> None:
    result = init(there)
    assert isinstance(result.exception, UsageError)
    assert "--provider github --data source" in str(result.exception.hint)
    result = init(there, "--provider", "github", "--data", "remote")
    assert isinstance(result.exception, UsageError)
    result = init(there, "--yes", "--data", "remote", "--remote", "s3://a:b@c/d")
    assert isinstance(result.exception, UsageError)
    assert "password" in str(result.exception)
    assert not (there.root / ".github").exists()


def test_yes_takes_what_fits(there: Project) -> None:
    (there.root / "requirements.txt").write_text("numpy\n")
    result = init(there, "--yes")
    assert result.exception is None
    text = (there.root / WORKFLOW).read_text()
    assert "--data source" in text
    assert "python -m pip install -r requirements.txt" in text
    assert "      - main\n" in text
    assert not (there.root / ".gitlab").exists()
    assert "is up to date" in init(there, "--yes").output


@pytest.mark.usefixtures("somebody")
def test_a_file_that_is_another_is_shown_and_kept_without_consent(there: Project) -> None:
    path = there.root / WORKFLOW
    path.parent.mkdir(parents=True)
    path.write_text("name: mine\n")
    words = ("--provider", "github", "--data", "source")
    result = init(there, *words, answers="n\n")
    assert "-name: mine" in result.output
    assert path.read_text() == "name: mine\n"
    result = init(there, *words, answers="y\n")
    assert "name: mlops" in path.read_text()
    undo = re.search(r"to take that back: (cp .*)\)", result.output)
    assert undo is not None
    subprocess.run(undo[1], shell=True, check=True)
    assert path.read_text() == "name: mine\n"
    assert json.loads(init(there, *words, "--json").output)["files"] == {WORKFLOW: "kept"}
    assert init(there, *words, "--yes").exception is None
    assert "name: mlops" in path.read_text()


def test_gitlabs_own_file_is_left_alone(there: Project) -> None:
    (there.root / ".gitlab-ci.yml").write_text("test: {script: make}\n")
    result = init(there, "--yes")
    assert "Add to .gitlab-ci.yml:" in result.output
    assert (there.root / ".gitlab-ci.yml").read_text() == "test: {script: make}\n"
    assert (there.root / ".gitlab/mlops.gitlab-ci.yml").is_file()


def published(project: Project, mlops: Mlops, remote: Path) -> tuple[Path, str]:
    """A clean clone of a pull request: the data are on a remote, and not in git."""
    version = take(project, project.root / "numbers.csv", "numbers")
    prove(project, sources=[{"source": "numbers.csv", "parameter": "source",
                             "snapshot": version.spec, "exact": True}])  # fmt: skip
    assert mlops("snapshots", "push", "--remote", str(remote)).code == 0
    result = mlops("ci", "init", "--provider", "both", "--data", "remote", "--remote", str(remote),
                   "--yes")  # fmt: skip
    assert result.code == 0, result.err
    git(project.root, "add", "-A")
    git(project.root, "commit", "-q", "-m", "base")
    base = subprocess.check_output(["git", "-C", project.root, "rev-parse", "HEAD"], text=True)
    git(project.root, "checkout", "-q", "-b", "change")
    write(project, "0.5 + a")
    git(project.root, "commit", "-q", "-am", "change")
    clone = project.root.parent / "clone"
    git(project.root, "clone", "-q", str(project.root), str(clone))
    assert not (clone / ".mlops").exists()
    assert not (clone / "numbers.csv").exists()
    return clone, base.strip()


def shell(line: str, clone: Path, env: dict[str, str]) -> None:
    """Run a line of a job as CI systems do.  What pip would install is installed."""
    line = re.sub(r"(?m)^python -m pip install .*$", "true", line)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "GITLAB_", "CI"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    result = subprocess.run(
        ["bash", "-e", "-c", line], cwd=clone, env={**kept, "PATH": path, **env},
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"


def test_the_workflow_runs_in_a_clean_clone(
    sums: Project, mlops: Mlops, host: Host, tmp_path: Path
) -> None:
    clone, base = published(sums, mlops, tmp_path / "remote")
    summary = tmp_path / "summary.md"
    env = host.github(tmp_path / "event.json") | {
        "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_RUN_ID": "5",
        "GITHUB_SERVER_URL": "https://example.org",
    }  # fmt: skip
    steps = parse_yaml((clone / WORKFLOW).read_text())["jobs"]["pipelines"]["steps"]
    names = []
    for step in steps:
        if "run" in step:
            own = {k: str(v) for k, v in step.get("env", {}).items() if "${{" not in str(v)}
            shell(step["run"], clone, env | own | {"BASE_SHA": base})
            names.append(step["name"])
    assert names == [
        "Install", "Fetch the data", "Test the pipelines", "Ask the gates", "Comment",
    ]  # fmt: skip
    (comment,) = host.comments
    text = comment["body"]
    assert "**Equal** to its proof" in text
    assert "Code: 1 cell changed in pipelines/sums/add.ipynb" in text
    assert "| score | 2.5 | 2.5 |  | = same |" in text
    assert "https://example.org/a/b/actions/runs/5" in text
    assert "finished in" in summary.read_text()
    assert (clone / "mlops-report" / "junit.xml").is_file()
    # Nobody could run without the data: they were fetched.
    assert (clone / ".mlops" / "snapshots").is_dir()


@pytest.mark.full
def test_gitlabs_job_runs_in_a_clean_clone(
    sums: Project, mlops: Mlops, host: Host, tmp_path: Path
) -> None:
    clone, base = published(sums, mlops, tmp_path / "remote")
    job = parse_yaml((clone / ".gitlab/mlops.gitlab-ci.yml").read_text())["mlops"]
    env = {
        "GITLAB_CI": "true", "GITLAB_TOKEN": "t", "CI_API_V4_URL": host.url, "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "9", "CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "CI_JOB_ID": "4",
        "CI_PROJECT_URL": "https://example.org/a/b",
    } | job["variables"]  # fmt: skip
    for line in job["script"] + job["after_script"]:
        shell(line, clone, env)
    (comment,) = host.comments
    assert (
        'src="https://example.org/a/b/-/jobs/4/artifacts/raw/mlops-report/images/'
        in (comment["body"])
    )
    for name in job["artifacts"]["reports"].values():
        assert (clone / name).is_file()
