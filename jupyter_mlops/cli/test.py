"""``jupyter mlops test``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from ..config import Config, load_config
from ..errors import NotFoundError, UsageError
from ..model.pipeline import Pipeline
from ..pipelines import (
    BrokenPipeline,
    RunOutcome,
    StepProgress,
    find_pipeline,
    run_pipeline,
    scan_pipelines,
    warm_run,
)
from ..project import Project, open_project
from ..promotion import Retest, RunResult, read_proof, retest
from .output import duration, echo_json, json_option
from .progress import RunLog, log_stream
from .run import show_step
from .run_reports import ReportOptions, Reports, Request, metrics_of, report_options

__all__ = ["test"]

_WORDS = {
    "equal": "equals its proof",
    "within_tolerance": "is within the tolerance of its proof",
    "differs": "DIFFERS from its proof",
    "unproven": "ran; nothing is proven",
    "failed": "FAILED",
}


@click.command()
@click.argument("pipelines", nargs=-1, metavar="[PIPELINE...]")
@click.option(
    "--data",
    type=click.Choice(["auto", "source", "pinned"]),
    default="auto",
    show_default=True,
    help="Read the sources, the proof's snapshots, or the snapshots where all of them are here.",
)
@click.option(
    "--rtol",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="NUMBER",
    help="Take metrics for equal that differ by no more than this part of their value.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End a run when it takes longer.",
)
@report_options
@json_option
def test(
    pipelines: tuple[str, ...],
    data: str,
    rtol: float,
    timeout: float | None,
    reports: ReportOptions,
    as_json: bool,
) -> int:
    """Run pipelines and compare the results with their proofs.

    Without a name, all pipelines of the project.  Metrics, the files that steps write and the
    model's predictions are compared with proof.json.  The exit code is 1 when a run failed, else 4
    when a result differs.  Nothing is registered.
    """
    project = open_project(create=False)
    config = load_config(project.root)
    chosen = _chosen(project, pipelines)
    log = RunLog(log_stream(as_json))
    written = Reports(project, config, reports, log.line).check()
    bench = _Bench(project, config, log, data, rtol, timeout, reports)
    found: list[tuple[Pipeline, RunOutcome, Retest | None]] = []
    for pipeline in chosen:
        outcome, judged, request = bench.test(pipeline)
        found.append((pipeline, outcome, judged))
        if outcome.status == "KILLED":
            break
        if reports.wanted:
            repeats = () if judged is None else judged.metrics[1:]
            proof = None if judged is None else judged.to_dict()
            written.add(outcome, request=request, repeats=repeats, proof=proof)
    killed = next((o.exit_code for _, o, _ in found if o.status == "KILLED"), None)
    if killed is None:
        written.write()
    if as_json:
        echo_json({"pipelines": [_dict(*entry) for entry in found]})
    elif len(found) > 1:
        log.line()
        for pipeline, outcome, judged in found:
            log.line(f"{pipeline.name} {_WORDS[_verdict(outcome, judged)]}")
    return killed if killed is not None else _exit_code(found)


def _chosen(project: Project, names: Sequence[str]) -> list[Pipeline]:
    if names:
        return [find_pipeline(project, name) for name in dict.fromkeys(names)]
    found = []
    for pipeline in scan_pipelines(project):
        if isinstance(pipeline, BrokenPipeline):
            raise pipeline.error
        found.append(pipeline)
    if not found:
        raise NotFoundError(
            f"there are no pipelines in {project.root}",
            hint="To make one: jupyter mlops promote NOTEBOOK",
        )
    return found


@dataclass
class _Bench:
    """Runs pipelines as they are tested."""

    project: Project
    config: Config
    log: RunLog
    data: str
    rtol: float
    timeout: float | None
    options: ReportOptions

    def test(self, pipeline: Pipeline) -> tuple[RunOutcome, Retest | None, Request]:
        folder = Path(pipeline.folder)
        self.log.line(f"Pipeline {pipeline.name} in {self.project.root}")
        with warm_run(self.project, self.config, str(folder)):
            outcome, data = self._first(pipeline)
            request = Request(str(self.project.relative(folder)), {}, data)
            if outcome.exit_code != 0:
                self._failed(outcome)
                return outcome, None, request

            def again() -> RunResult:
                self.log.line("Once more, to see what differs by itself")
                return self._result(pipeline, self._run(pipeline, data))

            judged = retest(
                self.project,
                folder,
                read_proof(folder),
                self._result(pipeline, outcome),
                again,
                rtol=self.rtol,
            )
            if judged.verdict == "differs":
                changed = _other_data(self.project, folder, outcome)
                judged = replace(judged, reasons=(*judged.reasons, *changed))
            for number in range(judged.runs, self.options.repeats + 1):
                self.log.line(f"Repeat {number} of {self.options.repeats}")
                extra = self._run(pipeline, data)
                if extra.exit_code == 0:
                    judged = replace(judged, metrics=(*judged.metrics, metrics_of(extra)))
        self.log.line(
            f"{pipeline.name} {_WORDS[judged.verdict]} (data: {data}, {duration(outcome.seconds)})"
        )
        for reason in judged.reasons:
            self.log.line(f"  {reason}")
        return outcome, judged, request

    def _first(self, pipeline: Pipeline) -> tuple[RunOutcome, str]:
        """The first run, and what it has read: the snapshots of the proof where all are here."""
        if self.data != "auto":
            return self._run(pipeline, self.data), self.data
        try:
            return self._run(pipeline, "pinned"), "pinned"
        except UsageError as error:
            self.log.line(f"  data from the sources: {error.message}")
            return self._run(pipeline, "auto"), "auto"

    def _run(self, pipeline: Pipeline, data: str) -> RunOutcome:
        try:
            return run_pipeline(
                self.project,
                self.config,
                str(Path(pipeline.folder)),
                progress=self.log.cell,
                on_step=self._step,
                on_output=self.log.output_of if self.options.output else None,
                register=False,
                timeout=self.timeout,
                trigger={"test": pipeline.name},
                data=data,
                deliver="later",
                cache=False,
            )
        finally:
            self.log.end()

    def _result(self, pipeline: Pipeline, outcome: RunOutcome) -> RunResult:
        folder = self.project.runs / outcome.run_id
        outputs = {
            f"{step.name}.{name}": folder / step.name / file
            for step in pipeline.steps
            for name, file in step.outputs.items()
        }
        model = outputs.get(pipeline.model.output) if pipeline.model else None
        error = None if outcome.exit_code == 0 else outcome.error or {"ename": outcome.status}
        return RunResult(metrics_of(outcome), outputs, model, error)

    def _step(self, step: StepProgress) -> None:
        show_step(self.log, self.project, step)

    def _failed(self, outcome: RunOutcome) -> None:
        error = outcome.error or {}
        where = f"step {error['step']}: " if error.get("step") else ""
        cell = f"In [{error['cell']}]: " if error.get("cell") else ""
        said = f"{error.get('ename', outcome.status)}: {error.get('evalue', '')}"
        self.log.line(f"{outcome.name} FAILED: {where}{cell}{said}")
        self.log.line(f"  executed  {self.project.relative(outcome.output)}")


def _other_data(project: Project, folder: Path, outcome: RunOutcome) -> list[str]:
    """Which sources are not what the proof was made with: then it is no wonder."""
    from ..reporting.data import sources_read

    proof = read_proof(folder) or {}
    known = {
        str(source.get("parameter") or source["source"]): source.get("digest")
        for source in proof.get("sources") or ()
    }
    return [
        f"{entry.source} is not what the proof was made with"
        for entry in sources_read(project.root, proof, outcome.params)
        if entry.digest and known.get(entry.name) and known[entry.name] != entry.digest
    ]


def _verdict(outcome: RunOutcome, judged: Retest | None) -> str:
    return "failed" if judged is None or outcome.exit_code != 0 else judged.verdict


def _exit_code(found: Sequence[tuple[Pipeline, RunOutcome, Retest | None]]) -> int:
    verdicts = {_verdict(outcome, judged) for _, outcome, judged in found}
    return 1 if "failed" in verdicts else 4 if "differs" in verdicts else 0


def _dict(pipeline: Pipeline, outcome: RunOutcome, judged: Retest | None) -> dict[str, Any]:
    said = {"reasons": []} if judged is None else judged.to_dict()
    return {"name": pipeline.name} | said | {
        "verdict": _verdict(outcome, judged),
        "run": outcome.to_dict(),
    }  # fmt: skip
