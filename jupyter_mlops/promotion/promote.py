"""``promote``: find the run, slice, compose, replay, prove, put in place."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import Config
from ..dataflow import Slice, backward_slice
from ..errors import ProjectError, ReplayDiffersError, UsageError
from ..model.pipeline import Parameter, Pipeline, PipelineModel, Step
from ..model.policy import Gate, Policy
from ..model.ports import CellProgress
from ..model.registry import key_metric, lower_is_better
from ..model.wiring import load_port
from ..pipelines import POLICY_FILE, declared_parameters, save_pipeline, save_policy
from ..project import Project
from ..state import StateDB, record_change
from .environment import ReplayEnvironment, replay_environment
from .install import PROOF_FILE, check_untouched, digest, install
from .replay import Replay, replay
from .step import Composed, compose
from .tracked import Tracked, find_tracked, has_secret, require_sources

__all__ = ["Promotion", "promote"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Promotion:
    """A pipeline that was written and proven.

    ``kept`` and ``dropped`` count executed code cells up to the tracked one; ``verdict`` is
    ``equal`` or ``unproven`` (there was no metric to compare); ``undo`` is a shell command.
    """

    name: str
    folder: Path
    run_id: str
    verdict: str
    proof: dict[str, Any]
    kept: int
    dropped: int
    parameters: tuple[Parameter, ...]
    metrics: dict[str, float]
    model: str | None
    replaced: bool
    undo: str
    warnings: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "name": self.name,
            "folder": str(self.folder),
            "run_id": self.run_id,
            "verdict": self.verdict,
            "proof": self.proof,
            "kept": self.kept,
            "dropped": self.dropped,
            "parameters": {p.name: p.default for p in self.parameters},
            "metrics": self.metrics,
            "model": self.model,
            "replaced": self.replaced,
            "undo": self.undo,
            "warnings": list(self.warnings),
        }


def promote(
    project: Project,
    config: Config,
    notebook: Path,
    *,
    name: str | None = None,
    run: str | None = None,
    force: bool = False,
    progress: Callable[[CellProgress], None] | None = None,
) -> Promotion:
    """Turn a notebook's tracked result into ``pipelines/<name>/``, proven by a replay.

    The slice of the executed cells that the tracked cell needs is replayed once in a fresh kernel;
    if its metrics are not exactly the tracked ones, all cells executed before it are tried; if
    these give another result too, nothing is written.

    Raises ``NotebookError`` and ``UsageError`` for input that cannot be promoted, ``ConflictError``
    when an earlier promotion was edited by hand and ``force`` is not given, ``ReplayDiffersError``
    when the result cannot be replayed, and ``ProjectError`` when the project cannot be written.
    """
    del config  # nothing of it applies yet; every service takes it
    notebook = Path(notebook).resolve()
    tracked = find_tracked(project, notebook, run)
    name = _check_name(name if name is not None else _slug(notebook.stem))
    target = project.pipelines / name
    if not force:
        check_untouched(target)
    executor = load_port("executor")()
    kernel = _kernel(tracked)
    executor.check(notebook, kernel=kernel)
    cut = backward_slice(tracked.events, tracked.target)
    require_sources(tracked, cut.indices)
    with _workshop(project, name) as (new, scratch):

        def attempt(kept: Sequence[int]) -> tuple[Composed, Replay]:
            composed = compose(tracked, name, _folder(project, notebook), kept, cut)
            step = new / f"{_step_name(composed)}.ipynb"
            _write_notebook(composed.document, step)
            replayed = replay(
                project,
                executor,
                step,
                composed.outputs,
                tracked.run.metrics,
                kernel=kernel,
                scratch=scratch,
                progress=progress,
            )
            return composed, replayed

        composed, replayed = attempt(cut.indices)
        widened = False
        everything = _everything(tracked)
        # A value drawn without a seed differs however many cells are kept.
        wider_helps = not cut.unseeded and everything != cut.indices
        if not replayed.equal and wider_helps and not has_secret(tracked, everything):
            wider, again = attempt(everything)
            if again.equal:
                composed, replayed, widened = wider, again, True
        if not replayed.equal:
            raise _differs(project, tracked, cut, replayed, scratch, _step_name(composed))
        pipeline = _write_pipeline(project, tracked, composed, name, kernel, new)
        if not (target / POLICY_FILE).exists():
            _write_policy(tracked, pipeline, new)
        used = frozenset().union(*(cut.flows[i].imports for i in composed.kept))
        environment = replay_environment(kernel, used)
        proof = _write_proof(project, tracked, composed, replayed, widened, environment, new)
        replaced = target.exists()
        undo = install(project, new, name)
    with StateDB(project).write() as connection:
        record_change(connection, "pipeline", "updated" if replaced else "created", name)
    return Promotion(
        name=name,
        folder=target,
        run_id=tracked.run.run_id,
        verdict=proof["verdict"],
        proof=proof,
        kept=len(composed.kept),
        dropped=tracked.target + 1 - len(composed.kept),
        parameters=pipeline.parameters,
        metrics=replayed.metrics,
        model=pipeline.model.name if pipeline.model else None,
        replaced=replaced,
        undo=undo,
        warnings=_warnings(tracked, composed, proof, widened, environment),
    )


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"{name!r} cannot name a pipeline",
            hint="Use letters, digits, '-', '_' and '.', beginning with a letter or a digit.",
        )
    return name


def _slug(stem: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", stem)
    return "-".join(words).lower()[:100] or "pipeline"


def _kernel(tracked: Tracked) -> str:
    return str(tracked.document.metadata.get("kernelspec", {}).get("name") or "python3")


def _folder(project: Project, notebook: Path) -> str:
    parent = notebook.parent
    if not parent.is_relative_to(project.root):
        raise UsageError(
            f"{notebook} lies outside the project {project.root}",
            hint="Move it into the project, or run the command in the notebook's own project.",
        )
    return parent.relative_to(project.root).as_posix()


def _step_name(composed: Composed) -> str:
    return "train" if composed.model is not None else "main"


def _everything(tracked: Tracked) -> tuple[int, ...]:
    return tuple(i for i, e in enumerate(tracked.events[: tracked.target + 1]) if e.status == "ok")


@contextlib.contextmanager
def _workshop(project: Project, name: str) -> Iterator[tuple[Path, Path]]:
    """A folder to build in, beside where it will go, and one for the replay's output."""
    made = not project.pipelines.exists()
    try:
        project.create()
        project.pipelines.mkdir(exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=project.pipelines))
        scratch = Path(tempfile.mkdtemp(prefix="replay-", dir=project.state))
        umask = os.umask(0)
        os.umask(umask)
        new.chmod(0o777 & ~umask)  # mkdtemp's folders are private; this one belongs in git
    except OSError as error:
        raise ProjectError(
            f"{project.pipelines} cannot be written: {error.strerror or error}",
            hint="Make the project folder writable and promote again.",
        ) from error
    try:
        yield new, scratch
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):
                project.pipelines.rmdir()  # only if nothing came of it


def _write_notebook(document: Any, path: Path) -> None:
    import nbformat

    for other in path.parent.glob("*.ipynb"):
        other.unlink()
    text: str = nbformat.writes(document)  # type: ignore[no-untyped-call]
    path.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")


def _write_pipeline(
    project: Project, tracked: Tracked, composed: Composed, name: str, kernel: str, folder: Path
) -> Pipeline:
    step = _step_name(composed)
    declared = declared_parameters(composed.document, folder / f"{step}.ipynb")
    by_file = {file.partition(".")[0]: f"{step}.{p}" for p, file in composed.outputs.items()}
    model = None
    if composed.model is not None:
        model = PipelineModel(
            name=tracked.run.register or name,
            output=by_file["model"],
            example=by_file.get("example"),
        )
    pipeline = Pipeline(
        name=name,
        description=f"Promoted from {project.relative(tracked.notebook)}",
        steps=(Step(name=step, notebook=f"{step}.ipynb", outputs=dict(composed.outputs)),),
        parameters=tuple(p for p in declared.parameters if p.name in composed.parameters),
        kernelspec=kernel,
        model=model,
        metrics=by_file.get("metrics"),
        experiment=tracked.run.experiment,
    )
    save_pipeline(pipeline, folder)
    return pipeline


def _write_policy(tracked: Tracked, pipeline: Pipeline, folder: Path) -> None:
    metric = key_metric(tracked.run.metrics)
    if pipeline.model is None or metric is None:
        return
    gate = Gate(name=f"{metric} not worse than champion", metric=metric, not_worse_than="champion")
    path = save_policy(Policy((gate,)), folder)
    bound = "max" if lower_is_better(metric) else "min"
    value = float(f"{tracked.run.metrics[metric]:.3g}")
    # Indented as the list above it: taking the marks off leaves a valid file.
    lines = [f"  - name: {metric} threshold", f"    metric: {metric}", f"    {bound}: {value!r}"]
    example = "".join(f"#{line}\n" for line in lines)
    if math.isfinite(value) and metric.isidentifier():
        head = "# Without the marks, a fixed threshold as well:\n"
        path.write_text(path.read_text(encoding="utf-8") + head + example, encoding="utf-8")


def _write_proof(
    project: Project,
    tracked: Tracked,
    composed: Composed,
    replayed: Replay,
    widened: bool,
    environment: ReplayEnvironment,
    folder: Path,
) -> dict[str, Any]:
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    proof: dict[str, Any] = {
        "version": 1,
        "verdict": "equal" if tracked.run.metrics else "unproven",
        "run_id": tracked.run.run_id,
        "notebook": project.relative(tracked.notebook),
        "git_commit": tracked.run.git_commit,
        "metrics": {
            metric: {"tracked": value, "replayed": replayed.metrics.get(metric)}
            for metric, value in tracked.run.metrics.items()
        },
        "cells": {
            "kept": [tracked.events[i].seq for i in composed.kept],
            "dropped": [
                e.seq
                for i, e in enumerate(tracked.events[: tracked.target + 1])
                if i not in composed.kept
            ],
        },
        "widened": widened,
        "environment": {
            "interpreter": tracked.interpreter,
            "python": _python(tracked),
            "replayed_with": environment.executable,
            "replayed_python": environment.python,
            "packages": environment.packages,
        },
        "replayed_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "replay_seconds": round(replayed.seconds, 3),
        "files": {path.name: digest(path) for path in files},
    }
    if not tracked.run.metrics:
        proof["reason"] = "the run has no metrics to compare"
    text = json.dumps(proof, indent=2) + "\n"
    (folder / PROOF_FILE).write_text(text, encoding="utf-8")
    return proof


def _differs(
    project: Project,
    tracked: Tracked,
    cut: Slice,
    replayed: Replay,
    scratch: Path,
    step: str,
) -> ReplayDiffersError:
    kept = project.state / "replays" / f"{tracked.run.run_id}.ipynb"
    with contextlib.suppress(OSError):
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(scratch / f"{step}.ipynb", kept)
    if replayed.error is not None:
        error = replayed.error
        cell = f" in cell In [{error['cell']}]" if error.get("cell") else ""
        what = f"the replay failed{cell}: {error.get('ename')}: {error.get('evalue')}"
        if error.get("line"):
            what += f"\n  {error['line']}"
    else:
        what = "the replay gave another result: " + "; ".join(map(str, replayed.differences))
    if cut.unseeded:
        reasons = ", ".join(dict.fromkeys(text for _, text in cut.unseeded))
        hint = f"Random numbers are drawn without a seed ({reasons}): give a seed, run it again."
    else:
        hint = "Something that the result needs is not in the cells that ran before it."
    differences = [
        {"metric": d.metric, "tracked": d.tracked, "replayed": d.replayed}
        for d in replayed.differences
    ]
    return ReplayDiffersError(
        f"{project.relative(tracked.notebook)} was not promoted: {what}",
        hint=f"{hint} The replayed notebook: {project.relative(kept)}",
        differences=differences,
        error=_plain(replayed.error),
        run_id=tracked.run.run_id,
    )


def _plain(error: dict[str, Any] | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {key: error[key] for key in ("ename", "evalue", "cell", "line") if key in error}


def _python(tracked: Tracked) -> str | None:
    return tracked.session.header.python if tracked.session.header else None


def _warnings(
    tracked: Tracked,
    composed: Composed,
    proof: dict[str, Any],
    widened: bool,
    environment: ReplayEnvironment,
) -> tuple[str, ...]:
    found = []
    other = environment.differs_from(tracked.interpreter, _python(tracked))
    if other is not None:
        found.append(f"it was replayed by another Python than it was tracked with: {other}")
    if widened:
        found.append(
            "the cells that the result seemed to need were not enough: all cells that ran before "
            "it are kept"
        )
    if proof["verdict"] == "unproven":
        found.append("the run has no metrics, so nothing could be compared: not proven equal")
    for model in tracked.run.models:
        if model.blob is None:
            found.append(f"the model {model.name} was not kept when it was tracked: {model.reason}")
    if composed.model is None and tracked.run.register:
        found.append(f"no model is handed over, so no version of {tracked.run.register} is made")
    return tuple(found)
