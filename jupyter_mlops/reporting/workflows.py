"""The files that make a CI system run a project's pipelines: GitHub Actions and GitLab."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["DATA_WAYS", "GITLAB_FILE", "Setup", "github_workflow", "gitlab_jobs", "gitlab_root"]

# Where the data of a job come from, and what that means.
DATA_WAYS = {
    "remote": "snapshots, fetched from the remote of this project",
    "cache": "the same, kept in the CI system's cache from job to job",
    "source": "the sources: files in git, or addresses that the job can read",
}
GITLAB_FILE = ".gitlab/mlops.gitlab-ci.yml"
_REPORT = "mlops-report"
# What fsspec needs beside itself, and what the libraries read from the environment, by scheme.
_REMOTES = {
    "s3": ("s3fs", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
    "gs": ("gcsfs", ()),
    "gcs": ("gcsfs", ()),
    "az": ("adlfs", ("AZURE_STORAGE_CONNECTION_STRING",)),
    "abfs": ("adlfs", ("AZURE_STORAGE_CONNECTION_STRING",)),
    "sftp": ("paramiko", ()),
}
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")


@dataclass(frozen=True, slots=True)
class Setup:
    """What a workflow is made for.

    ``folder`` is the project's in the repository (``""``: the repository's own), ``branch`` the one
    that is built when it is pushed to, ``requirements`` what pip installs beside this package (as
    words of its command line), ``version`` of this package, ``remote`` that of the snapshots.
    """

    data: str
    version: str
    folder: str = ""
    branch: str = "main"
    python: str = "3.11"
    requirements: tuple[str, ...] = ()
    remote: str | None = None

    @property
    def fetches(self) -> bool:
        """Whether snapshots are fetched."""
        return self.data in ("remote", "cache")

    @property
    def install(self) -> list[str]:
        """The commands that install what the job needs."""
        extra = _REMOTES.get(urlsplit(self.remote or "").scheme, ("", ()))[0]
        words = [f'"jupyter-mlops>={self.version}"', *([extra] if extra else [])]
        lines = [f"python -m pip install {' '.join(words)}"]
        if self.requirements:
            lines.append(f"python -m pip install {' '.join(self.requirements)}")
        return lines

    @property
    def secrets(self) -> Sequence[str]:
        """The names of the secrets that the remote needs."""
        if not self.fetches:
            return ()
        return _REMOTES.get(urlsplit(self.remote or "").scheme, ("", ()))[1]

    @property
    def way(self) -> str:
        """What ``--data`` of the tests is."""
        return "pinned" if self.fetches else "source"


_PULL = (
    'for pipeline in pipelines/*/; do jupyter mlops snapshots pull --pipeline "$(basename '
    '"$pipeline")"; done'
)


def github_workflow(setup: Setup) -> str:
    """``.github/workflows/mlops.yml``."""
    inside = f"{setup.folder}/" if setup.folder else ""
    lines = [
        *_head("github", setup),
        "name: mlops",
        "",
        "on:",
        "  push:",
        "    branches:",
        f"      - {_scalar(setup.branch)}",
        "  pull_request:",
        "  workflow_dispatch:",
        "",
        "permissions:",
        "  contents: read",
        "  pull-requests: write # for the comment",
        "",
        "concurrency:",
        "  group: mlops-${{ github.ref }}",
        "  cancel-in-progress: true",
        "",
        "jobs:",
        "  pipelines:",
        "    runs-on: ubuntu-latest",
        "    timeout-minutes: 60",
    ]
    if setup.folder:
        lines += [
            "    defaults:",
            "      run:",
            f"        working-directory: {_scalar(setup.folder)}",
        ]
    lines += [
        "    steps:",
        "      - uses: actions/checkout@v4",
        "        with:",
        "          fetch-depth: 0 # the base of a pull request is run, too",
        "      - uses: actions/setup-python@v5",
        "        with:",
        f'          python-version: "{setup.python}"',
        "      - name: Install",
        "        run: |",
        *(f"          {line}" for line in setup.install),
    ]
    if setup.data == "cache":
        lines += [
            "      - name: Keep the snapshots",
            "        uses: actions/cache@v4",
            "        with:",
            f"          path: {_scalar(inside + '.mlops/snapshots')}",
            f"          key: mlops-${{{{ hashFiles('{_quoted(inside)}pipelines/*/proof.json') }}}}",
            "          restore-keys: mlops-",
        ]
    if setup.fetches:
        lines += [
            "      - name: Fetch the data",
            f"        run: {_PULL}",
            "        env:",
            f"          JUPYTER_MLOPS_SNAPSHOT_REMOTE: {_scalar(setup.remote or '')}",
            *(f"          {name}: ${{{{ secrets.{name} }}}}" for name in setup.secrets),
        ]
    lines += [
        "      - name: Test the pipelines",
        f"        run: {_test(setup, 'BASE_SHA')}",
        "        env:",
        "          BASE_SHA: ${{ github.event.pull_request.base.sha }}",
        "      - name: Ask the gates",
        f"        run: jupyter mlops gate {_REPORT}",
        "      - name: Comment",
        "        # A pull request from a fork may not write; the job's summary has the same.",
        "        if: >-",
        "          !cancelled() && github.event_name == 'pull_request' &&",
        "          github.event.pull_request.head.repo.full_name == github.repository &&",
        f"          hashFiles('{_quoted(inside)}{_REPORT}/comment.md') != ''",
        f"        run: jupyter mlops ci comment {_REPORT}/comment.md",
        "        env:",
        "          GITHUB_TOKEN: ${{ github.token }}",
        "      - name: Keep the report",
        "        if: ${{ !cancelled() }}",
        "        uses: actions/upload-artifact@v4",
        "        with:",
        "          name: mlops-report",
        f"          path: {_scalar(inside + _REPORT)}",
        "          if-no-files-found: ignore",
    ]
    return "\n".join(lines) + "\n"


def gitlab_jobs(setup: Setup) -> str:
    """``.gitlab/mlops.gitlab-ci.yml``, which ``.gitlab-ci.yml`` includes."""
    inside = f"{setup.folder}/" if setup.folder else ""
    enter = [f"cd {_word(setup.folder)}"] if setup.folder else []
    images = f'--images-url "$CI_PROJECT_URL/-/jobs/$CI_JOB_ID/artifacts/raw/{inside}{_REPORT}"'
    script = [
        *enter,
        *setup.install,
        *([_PULL] if setup.fetches else []),
        f"{_test(setup, 'CI_MERGE_REQUEST_DIFF_BASE_SHA')} {images}",
        f"jupyter mlops gate {_REPORT}",
    ]
    after = [
        *enter,
        f'if [ -n "$CI_MERGE_REQUEST_IID" ] && [ -n "$GITLAB_TOKEN" ] && '
        f"[ -f {_REPORT}/comment.md ]; then jupyter mlops ci comment {_REPORT}/comment.md; fi",
    ]
    lines = [
        *_head("gitlab", setup),
        "# GITLAB_TOKEN: a project access token with the scope `api`, for the comment.",
        "mlops:",
        f'  image: "python:{setup.python}"',
        "  rules:",
        '    - if: $CI_PIPELINE_SOURCE == "merge_request_event"',
        "    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
        "  variables:",
        '    GIT_DEPTH: "0" # the base of a merge request is run, too',
    ]
    if setup.fetches:
        lines.append(f"    JUPYTER_MLOPS_SNAPSHOT_REMOTE: {_scalar(setup.remote or '')}")
    if setup.data == "cache":
        lines += [
            "  cache:",
            "    key: mlops-snapshots",
            "    paths:",
            f"      - {_scalar(inside + '.mlops/snapshots/')}",
        ]
    lines += ["  script:", *(f"    - {_scalar(line)}" for line in script)]
    lines += ["  after_script:", *(f"    - {_scalar(line)}" for line in after)]
    lines += [
        "  artifacts:",
        "    when: always",
        "    paths:",
        f"      - {_scalar(f'{inside}{_REPORT}/')}",
        "    reports:",
        f"      junit: {_scalar(f'{inside}{_REPORT}/junit.xml')}",
        f"      codequality: {_scalar(f'{inside}{_REPORT}/code-quality.json')}",
    ]
    return "\n".join(lines) + "\n"


def gitlab_root() -> str:
    """A ``.gitlab-ci.yml`` that does nothing but include the jobs."""
    return f"include:\n  - local: {GITLAB_FILE}\n"


def _head(provider: str, setup: Setup) -> list[str]:
    return [
        f"# Written by `jupyter mlops ci init --provider {provider} --data {setup.data}`.",
        "# It is yours to edit; written again, it shows the difference and asks first.",
    ]


def _test(setup: Setup, base: str) -> str:
    return (
        f"jupyter mlops test --data {setup.way} --report {_REPORT} "
        f'${{{base}:+--base-ref "${base}"}}'
    )


def _scalar(text: str) -> str:
    """A YAML scalar: plain where it cannot be taken for something else, else in double quotes."""
    return text if _PLAIN.fullmatch(text) and text[0].isalpha() else json.dumps(text)


def _quoted(text: str) -> str:
    """Text for a literal of GitHub's expressions."""
    return text.replace("'", "''")


def _word(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"
