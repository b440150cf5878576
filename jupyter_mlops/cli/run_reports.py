"""What ``run`` and ``test`` write beside their log: for CI systems, reviewers and archives."""

from __future__ import annotations

import functools
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..capture.redact import redact
from ..config import Config
from ..errors import ProjectError, UsageError
from ..journal import default_redactor
from ..pipelines import RunOutcome, run_pipeline
from ..project import Project
from .base_reports import BaseRuns, Request, check_ref, read_base, run_base
from .run_parameters import parameter_words

__all__ = [
    "ReportOptions",
    "Reports",
    "Request",
    "again_command",
    "metrics_of",
    "read_data",
    "repeat_run",
    "report_options",
]

if TYPE_CHECKING:
    from ..reporting import Beside, ImageReport, Problem, RunReport

_F = TypeVar("_F", bound=Callable[..., Any])
_QUALITY = "gl-code-quality-report.json"  # the name that GitLab's own examples use


@dataclass(frozen=True)
class ReportOptions:
    """The options of ``report_options``, as they were given."""

    junit: Path | None = None
    summary: Path | None = None
    report: Path | None = None
    annotations: str = "auto"
    images_url: str | None = None
    base: Path | None = None
    base_ref: str | None = None
    repeats: int = 0
    output: bool = False

    @property
    def wanted(self) -> bool:
        """Whether anything is to be written."""
        return bool(
            self.junit or self.summary or self.report or self.annotation_kind != "none"
            or os.environ.get("GITHUB_STEP_SUMMARY")
        )  # fmt: skip

    @property
    def annotation_kind(self) -> str:
        """``github``, ``gitlab`` or ``none``; where it is not said, by the CI system that runs."""
        if self.annotations != "auto":
            return self.annotations
        if os.environ.get("GITHUB_ACTIONS") == "true":
            return "github"
        return "gitlab" if os.environ.get("GITLAB_CI") == "true" else "none"


def report_options(command: _F) -> _F:
    """Add the options to a command, which gets them as ``reports: ReportOptions``."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        names = ReportOptions.__dataclass_fields__
        given = {name: kwargs.pop(name) for name in names}
        if given["base"] is not None and given["base_ref"] is not None:
            raise UsageError(
                "--base and --base-ref both say what to compare with", hint="Give one."
            )
        return command(*args, reports=ReportOptions(**given), **kwargs)

    file = click.Path(dir_okay=False, path_type=Path)
    options = [
        click.option("--junit", type=file, metavar="FILE", help="Write JUnit XML: a case a cell."),
        click.option(
            "--summary", type=file, metavar="FILE",
            help="Add a job summary in Markdown to FILE; in GitHub Actions to the job's, too.",
        ),
        click.option(
            "--report", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
            help="Write everything: comment.md, report.html, report.json, plots, notebooks ...",
        ),
        click.option(
            "--annotations", type=click.Choice(["auto", "github", "gitlab", "none"]),
            default="auto", show_default=True,
            help="Mark failures at the notebook's line, in the form of this CI system.",
        ),
        click.option(
            "--images-url", metavar="URL",
            help="Where the report's folder will be, for plots in comment and summary.",
        ),
        click.option(
            "--base", type=click.Path(path_type=Path), metavar="FILE",
            help="Compare with this report.json (or the folder it is in) of an earlier run.",
        ),
        click.option(
            "--base-ref", metavar="REF",
            help="Compare with a run of this git commit, made now in a worktree of its own.",
        ),
        click.option(
            "--repeats", type=click.IntRange(min=0, max=50), default=0, metavar="N",
            help="Run N more times, to learn how much the metrics differ by themselves.",
        ),
        click.option("--output", is_flag=True, help="Show what cells print, as they print it."),
    ]  # fmt: skip
    decorated: Any = wrapped
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def again_command(target: str, given: Mapping[str, Any]) -> str:
    """The command that runs it again, without secrets."""
    return shlex.join(["jupyter", "mlops", "run", target, *parameter_words(dict(given))])


def repeat_run(project: Project, config: Config, request: Request) -> RunOutcome:
    """Run it once more: nothing is registered, and what is delivered is so later."""
    return run_pipeline(
        project,
        config,
        request.target,
        request.given,
        register=False,
        data=request.data,
        deliver="later",
        cache=False,  # a repeat that was not executed says nothing of how metrics differ
    )


def metrics_of(outcome: RunOutcome) -> dict[str, float]:
    """The run's metrics, and those of the runs that tracked cells made in it."""
    found = dict(outcome.metrics)
    for child in outcome.children:
        for name, value in child.metrics.items():
            found.setdefault(name, value)
    return found


@dataclass
class Reports:
    """Collects the runs of a command, and writes what was asked for when they have ended.

    ``say`` prints a line of the log; ``runs`` are reports, ``requests`` how each was asked for.
    """

    project: Project
    config: Config
    options: ReportOptions
    say: Callable[[str], None]
    runs: list[RunReport] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    notebooks: dict[str, Path] = field(default_factory=dict)

    def check(self) -> Reports:
        """Look at the base before anything starts.  Raises ``UsageError`` where it cannot be."""
        if self.options.base is not None:
            read_base(self.options.base)
        elif self.options.base_ref is not None:
            check_ref(self.project, self.options.base_ref)
        return self

    def of_run(self, outcome: RunOutcome, request: Request) -> None:
        """Write what was asked for of this one run."""
        if self.options.wanted:
            self.take(outcome, request)
            self.write()

    def take(self, outcome: RunOutcome, request: Request) -> None:
        """Take a run, and run it as often again as the options say."""
        repeats: list[Mapping[str, float]] = []
        count = self.options.repeats if outcome.exit_code in (0, 5) else 0
        for number in range(1, count + 1):
            self.say(f"Repeat {number} of {count}: {outcome.name}")
            again = repeat_run(self.project, self.config, request)
            if again.exit_code != 0:
                self.say(f"Repeat {number} failed: no tolerance is learned from it")
                continue
            repeats.append(metrics_of(again))
        self.add(outcome, request=request, repeats=repeats)

    def add(
        self,
        outcome: RunOutcome,
        *,
        request: Request,
        repeats: Sequence[Mapping[str, float]] = (),
        proof: dict[str, Any] | None = None,
    ) -> None:
        """Take a run; ``repeats`` are the metrics of further runs of the same."""
        from ..reporting import build_report, cleaned, repeat_spreads

        started = datetime.now(UTC) - timedelta(seconds=outcome.seconds)
        report, images = build_report(
            outcome.to_dict(),
            self.project.root,
            command=again_command(request.target, request.given),
            commit=_commit(self.project.root),
            started=started.isoformat(timespec="seconds"),
            data=read_data(self.project, outcome),
        )
        spreads = repeat_spreads([metrics_of(outcome), *repeats]) or report.spreads
        report = replace(report, spreads=spreads, proof=proof)
        report = cleaned(report, _cleaner(self.config, request.given))
        self.runs.append(report)
        self.requests.append(request)
        self.images |= images
        for step in outcome.steps:
            if step.output is not None and step.output.is_file():
                file = f"{outcome.name}/{step.name}.ipynb" if outcome.kind == "pipeline" else None
                self.notebooks[f"notebooks/{file or step.output.name}"] = step.output

    def _gates(self, run: RunReport, base: RunReport | None) -> tuple[dict[str, Any], ...]:
        """What the policy's gates say; without a champion on this machine, beside the base."""
        from .gates import verdicts_of

        if run.kind != "pipeline" or run.exit_code not in (0, 5):
            return ()
        known = None if base is None else base.metrics
        return verdicts_of(self.project, run.name, run.metrics, known)

    def write(self) -> None:
        """Write it all.  Raises ``ProjectError``, and ``UsageError`` for a base that cannot be."""
        if not self.runs or not self.options.wanted:
            return
        from ..reporting import Beside, job_summary, junit_xml

        bases = self._bases()
        self.runs = [
            replace(run, gates=self._gates(run, bases.runs.get(run.name))) for run in self.runs
        ]
        beside = Beside(
            bases=bases.runs,
            label=bases.label,
            image=self._address,
            artifacts=_where(self.options),
            details=bases.details,
        )
        with _writing():
            if self.options.junit is not None:
                _write(self.options.junit, junit_xml(self.runs))
            summary = job_summary(self.runs, beside)
            for path in _summaries(self.options):
                _append(path, summary)
            if self.options.report is not None:
                self._folder(self.options.report, beside, bases)
        self._annotate()

    def _bases(self) -> BaseRuns:
        options = self.options
        if options.base is not None:
            return read_base(options.base)
        if options.base_ref is not None:
            pairs = zip(self.runs, self.requests, strict=True)
            # Beside a run that failed there is nothing to compare.
            heads = [(run, request) for run, request in pairs if run.exit_code in (0, 5)]
            if not heads:
                return BaseRuns()
            self.say(f"Base: running {options.base_ref} in a worktree of its own")
            return run_base(self.project, options.base_ref, heads, say=self.say)
        return BaseRuns()

    def _address(self, image: ImageReport) -> str | None:
        prefix = self.options.images_url
        return None if prefix is None else f"{prefix.rstrip('/')}/{image.file}"

    def _folder(self, folder: Path, beside: Beside, bases: BaseRuns) -> None:
        from ..reporting import (
            code_quality,
            comment,
            data_address,
            job_summary,
            junit_xml,
            page,
            write_reports,
        )

        name = self.runs[0].name if len(self.runs) == 1 else "pipelines"
        folder.mkdir(parents=True, exist_ok=True)
        for old in ("images", "notebooks"):
            shutil.rmtree(folder / old, ignore_errors=True)
        for file, content in self.images.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        for file, source in self.notebooks.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / file)
        _write(folder / "report.json", _json(write_reports(self.runs)))
        base_file = folder / "base.json"
        if bases.runs:
            _write(base_file, _json(write_reports(list(bases.runs.values()))))
        else:
            base_file.unlink(missing_ok=True)
        _write(folder / "comment.md", comment(self.runs, beside, name))
        _write(folder / "summary.md", job_summary(self.runs, beside))
        _write(folder / "junit.xml", junit_xml(self.runs))
        _write(folder / "code-quality.json", code_quality(self._problems()))
        within = replace(
            beside,
            image=lambda image: data_address(self.images[image.file], image.file),
            artifacts="",
        )
        _write(folder / "report.html", page(job_summary(self.runs, within), f"{name}: report"))
        self.say(f"Report: {folder / 'report.html'}, comment: {folder / 'comment.md'}")

    def _problems(self) -> list[Problem]:
        from ..reporting import problems

        root = self.project.root

        def read(file: str) -> str | None:
            try:
                return (root / file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                return None

        return problems(self.runs, read=read, prefix=_prefix(root))

    def _annotate(self) -> None:
        from ..reporting import code_quality, github_annotations

        kind = self.options.annotation_kind
        if kind == "github":
            # A program reads stdout where it is JSON; GitHub reads commands from both.
            text = github_annotations(self._problems())
            if text:
                self.say(text.rstrip("\n"))
        elif kind == "gitlab":
            with _writing():
                _write(Path(_QUALITY), code_quality(self._problems()))


def _json(data: Any) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def _cleaner(config: Config, given: Mapping[str, Any]) -> Callable[[str], str]:
    secret = sorted(
        {str(v) for name, v in given.items() if redact(name, v) != v and len(str(v)) > 3},
        key=len,
        reverse=True,
    )
    redactor = default_redactor() if config.redact else None

    def clean(text: str) -> str:
        for value in secret:
            text = text.replace(value, "***")
        return text if redactor is None else redactor.redact_text(text)

    return clean


def read_data(project: Project, outcome: RunOutcome) -> Iterable[Any]:
    """What the run has read, as it is now."""
    from ..reporting.data import inputs_read, sources_read

    if outcome.kind == "pipeline" and outcome.steps:
        proof = outcome.steps[0].notebook.parent / "proof.json"
        try:
            content = json.loads(proof.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ()
        return sources_read(project.root, content, outcome.params)
    return inputs_read(record for run in outcome.children for record in run.inputs)


def _commit(root: Path) -> str:
    from ..capture.git import head_commit

    return head_commit(root) or ""


def _prefix(root: Path) -> str:
    """The project's folder in the repository, ``""`` where it is the repository's own."""
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            inside = root.relative_to(folder).as_posix()
            return "" if inside == "." else f"{inside}/"
    return ""


def _summaries(options: ReportOptions) -> list[Path]:
    found = [options.summary] if options.summary is not None else []
    step = os.environ.get("GITHUB_STEP_SUMMARY")
    if step and os.environ.get("GITHUB_ACTIONS") == "true" and options.annotations != "none":
        found.append(Path(step))
    return found


def _where(options: ReportOptions) -> str:
    """Where a reader finds the report's files: the job, in CI."""
    env = os.environ
    if env.get("GITHUB_ACTIONS") == "true" and env.get("GITHUB_RUN_ID"):
        server, repository = env.get("GITHUB_SERVER_URL", ""), env.get("GITHUB_REPOSITORY", "")
        return (
            f'<a href="{server}/{repository}/actions/runs/{env["GITHUB_RUN_ID"]}">This job</a> '
            "has plots, executed notebooks and the whole report among its artifacts."
        )
    if env.get("CI_JOB_URL"):
        return (
            f'<a href="{env["CI_JOB_URL"]}">This job</a> has plots, executed notebooks and the '
            "whole report among its artifacts."
        )
    return ""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)


class _writing:
    """Says which file cannot be written."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, ProjectError):
            name = error.filename or "the report"
            raise ProjectError(
                f"{name} cannot be written: {error.strerror or error}",
                hint="Name a file or folder that can be.",
            ) from error
