"""``promote``: find the run, slice, compose, replay, prove, put in place."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import Config
from ..errors import MlopsError, ProjectError, UsageError
from ..model.pipeline import Parameter, Pipeline, PipelineModel, Step
from ..model.policy import Gate, Policy
from ..model.ports import CellProgress
from ..model.registry import key_metric, lower_is_better
from ..model.wiring import load_port
from ..pipelines import PIPELINE_FILE, POLICY_FILE, load_pipeline, save_pipeline, save_policy
from ..project import Project
from ..state import StateDB, record_change
from .attempts import Attempt, Bench
from .data import pinned_parameters
from .environment import ReplayEnvironment, replay_environment
from .failing import differs
from .files import planned_files
from .install import install
from .judging import Judgement
from .keeping import keep_sources, marks_of
from .notebooks import notebook_text
from .parting import Parting
from .plan import PlanEdits
from .planning import MODES, design, pipeline_name, slices_of
from .proof import make_proof, write_proof
from .replay import Replay, compare_metrics
from .repromotion import Change, Previous, remember
from .step import LIBRARY, Composed
from .tracked import Tracked, find_tracked, has_secret, require_sources

__all__ = ["Promotion", "promote"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """A pipeline that was written and proven.

    ``kept`` and ``dropped`` count executed code cells up to the result; ``verdict`` is ``equal``,
    ``within_tolerance`` or ``unproven`` (the proof's ``reason`` says why); ``changes`` says of each
    file what became of it; ``undo`` is a shell command.
    """

    name: str
    folder: Path
    run_id: str | None
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
    steps: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()

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
            "steps": list(self.steps),
            "changes": [change.to_dict() for change in self.changes],
        }


def promote(
    project: Project,
    config: Config,
    notebook: Path,
    *,
    name: str | None = None,
    targets: Sequence[str] | None = None,
    run: str | None = None,
    steps: str = "auto",
    edits: PlanEdits | None = None,
    data: str = "source",
    drop_displays: bool = False,
    allow_pickle: bool = False,
    force: bool = False,
    progress: Callable[[CellProgress], None] | None = None,
) -> Promotion:
    """Turn a notebook's result into ``pipelines/<name>/``, proven by a replay.

    The slice of the executed cells that the tracked cell (or the variables ``targets``) needs is
    replayed in fresh kernels.  If its results are not those of the run, wider slices are tried, up
    to all cells executed before it; if these give another result too, nothing is written.  Where
    the code is not deterministic, the tolerance is learned from three replays.  ``data`` is
    ``source`` or ``pinned``: the replay then reads the run's snapshots.  An earlier promotion that
    was edited by hand keeps the edits.

    Raises ``NotebookError`` and ``UsageError`` for input that cannot be promoted, ``NotFoundError``
    for snapshots that are not here, ``ConflictError`` where an edit by hand and the new promotion
    change the same place (unless ``force``), ``ReplayDiffersError`` when the result cannot be
    replayed, and ``ProjectError`` when the project cannot be written.
    """
    del config  # nothing of it applies yet; every service takes it
    notebook = Path(notebook).resolve()
    if steps not in MODES:
        raise UsageError(f"there is no way {steps!r} to make steps", hint=f"One of {MODES}.")
    tracked = find_tracked(project, notebook, run, tuple(targets or ()))
    name = pipeline_name(name, notebook)
    previous = Previous(project, name, force=force)
    executor = load_port("executor")()
    kernel = str(tracked.document.metadata.get("kernelspec", {}).get("name") or "python3")
    executor.check(notebook, kernel=kernel)
    slices = slices_of(tracked)
    edits = edits or PlanEdits()
    first = design(tracked, slices[0], steps=steps, edits=edits, drop=drop_displays)
    require_sources(tracked, first.material.kept)
    used = frozenset().union(*(flow.imports for flow in first.material.flowing.flows))
    environment = replay_environment(kernel, used)
    place = _folder(project, notebook)
    files = planned_files(project, first.material)
    marks = marks_of(project, files)
    with _workshop(project, name) as (new, scratch):
        given = pinned_parameters(project, name, files, scratch) if data == "pinned" else {}
        bench = Bench(
            project, tracked, name, place, kernel, environment.executable, new, scratch, executor,
            edits, drop_displays, allow_pickle, given, progress,
        )  # fmt: skip
        problem = None
        if tracked.run is None or tracked.targets:
            problem = bench.measure(slices[-1])
        chosen, widened = _attempts(bench, slices, steps)
        if not chosen.judgement.holds:
            raise differs(project, bench.tracked, chosen, _parting(bench, chosen))
        texts = _texts(project, bench.tracked, chosen, name, kernel, new)
        merged, changes, edited = previous.merge(texts)
        verdict, reason = chosen.judgement.verdict, chosen.judgement.reason
        if problem is not None and verdict == "unproven":
            reason = f"all cells together cannot be replayed: {problem}"
        if edited:
            verdict, reason = _with_edits(bench, chosen, merged, verdict, reason)
        _write(new, merged)
        pipeline = load_pipeline(new)
        target = project.pipelines / name
        if not (target / POLICY_FILE).exists():
            _write_policy(bench.tracked.metrics, pipeline, new)
        files, unkept = keep_sources(project, files, marks, name)
        against = "a replay of all cells" if bench.truth or tracked.run is None else "the run"
        proof = make_proof(
            project, chosen.made, chosen.judgement, verdict=verdict, reason=reason,
            against=against, widened=widened, truth=bench.truth, metrics=bench.tracked.metrics,
            model=chosen.model, environment=environment, files=files, pinned=data == "pinned",
            edited=edited,
        )  # fmt: skip
        write_proof(proof, new, texts)
        replaced = target.exists()
        undo = install(project, new, name)
        remember(project, name, texts)
    with StateDB(project).write() as connection:
        record_change(connection, "pipeline", "updated" if replaced else "created", name)
    kept = len(chosen.made.material.kept)
    return Promotion(
        name=name,
        folder=target,
        run_id=tracked.run_id,
        verdict=verdict,
        proof=proof,
        kept=kept,
        dropped=tracked.target + 1 - kept,
        parameters=pipeline.parameters,
        metrics=chosen.judgement.replay.metrics,
        model=pipeline.model.name if pipeline.model else None,
        replaced=replaced,
        undo=undo,
        warnings=(*_warnings(bench.tracked, chosen, proof, widened, environment), *unkept),
        steps=tuple(step.name for step in pipeline.steps),
        changes=tuple(changes),
    )


def _attempts(bench: Bench, slices: Sequence[Any], steps: str) -> tuple[Attempt, str | None]:
    """Try slices from the narrowest on; return what held, or the first of those that did not."""
    failed: Attempt | None = None
    why: str | None = None
    for number, cut in enumerate(slices):
        if number and (bench.edits.cells or has_secret(bench.tracked, cut.indices)):
            continue
        found = bench.attempt(cut, steps)
        if not found.judgement.holds and len(found.work.steps) > 1 and not bench.edits.steps:
            # What one step needs of another may be more than the text tells.
            one = bench.attempt(cut, "one")
            if one.judgement.holds:
                note = f"one step was made of {len(found.work.steps)}: {_why(found)}"
                made = replace(one.made, refused=(*one.made.refused, note))
                found = replace(one, made=made)
        if found.judgement.holds:
            return found, why
        failed = failed or found
        why = why or _why(found)
        # A value drawn without a seed differs however many cells are kept.
        if cut.unseeded or found.judgement.random:
            break
    assert failed is not None  # noqa: S101
    return failed, None


def _parting(bench: Bench, chosen: Attempt) -> Parting | None:
    """Where the replay parted; whatever goes wrong with that must not hide that it did."""
    if chosen.judgement.replay.error is not None:
        return None
    try:
        return bench.parting(chosen)
    except (MlopsError, OSError, ValueError):
        return None


def _why(found: Attempt) -> str:
    replay = found.judgement.replay
    if replay.error is not None:
        return f"{replay.error.get('ename')}: {replay.error.get('evalue')}"
    return "; ".join(map(str, found.judgement.differences))


def _with_edits(
    bench: Bench, chosen: Attempt, merged: Mapping[str, str], verdict: str, reason: str | None
) -> tuple[str, str | None]:
    """Replay what is written once more, with the person's edits in it."""
    import nbformat

    steps: list[Composed] = []
    for step in chosen.work.steps:
        text = merged[f"{step.name}.ipynb"]
        document = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
        steps.append(replace(step, document=document))
    bench.write_library(merged.get(LIBRARY))
    found = bench.replayer.run(steps, list(bench.truth))
    if found.error is not None:
        made = replace(chosen, judgement=Judgement("differs", found))
        error = differs(bench.project, bench.tracked, made)
        error.message += "\n  (with the edits that were made by hand; without them it is equal)"
        raise error
    different = compare_metrics(bench.tracked.metrics, found.metrics)
    if not different and _digests(found) == _digests(chosen.judgement.replay):
        return verdict, reason
    if chosen.judgement.random:
        return "unproven", "it was edited by hand, and is not deterministic"
    words = "; ".join(map(str, different)) or "other values"
    return "unproven", f"edits made by hand give another result: {words}"


def _digests(replay: Replay) -> dict[str, Any]:
    return {name: value.get("digest") for name, value in replay.values.items()}


def _folder(project: Project, notebook: Path) -> str:
    parent = notebook.parent
    if not parent.is_relative_to(project.root):
        raise UsageError(
            f"{notebook} lies outside the project {project.root}",
            hint="Move it into the project, or run the command in the notebook's own project.",
        )
    return parent.relative_to(project.root).as_posix()


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


def _texts(
    project: Project, tracked: Tracked, chosen: Attempt, name: str, kernel: str, folder: Path
) -> dict[str, str]:
    """The files of the pipeline, but for the policy and the proof."""
    work = chosen.work
    texts = {f"{step.name}.ipynb": notebook_text(step.document) for step in work.steps}
    if work.library is not None:
        texts[LIBRARY] = work.library
    final = work.steps[-1]
    model = None
    if final.model is not None:
        registered = None if tracked.run is None else tracked.run.register
        model = PipelineModel(
            name=registered or name,
            output=f"{final.name}.{final.model}",
            example=None if final.example is None else f"{final.name}.{final.example}",
        )
    pipeline = Pipeline(
        name=name,
        description=f"Promoted from {project.relative(tracked.notebook)}",
        steps=tuple(
            Step(
                name=step.name,
                notebook=f"{step.name}.ipynb",
                needs=step.needs,
                inputs=dict(step.inputs),
                outputs=dict(step.outputs),
            )
            for step in work.steps
        ),
        parameters=tuple(
            p.declared
            for p in chosen.made.material.parameters
            if any(p.name in step.parameters for step in work.steps)
        ),
        kernelspec=kernel,
        model=model,
        metrics=None if final.metrics is None else f"{final.name}.{final.metrics}",
        experiment=None if tracked.run is None else tracked.run.experiment,
    )
    path = save_pipeline(pipeline, folder)
    texts[PIPELINE_FILE] = path.read_text(encoding="utf-8")
    return texts


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    try:
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ProjectError(
            f"{folder.parent} cannot be written: {error.strerror or error}",
            hint="Make room or make the folder writable, and promote again.",
        ) from error


def _write_policy(metrics: Mapping[str, float], pipeline: Pipeline, folder: Path) -> None:
    metric = key_metric(dict(metrics))
    if pipeline.model is None or metric is None:
        return
    gate = Gate(name=f"{metric} not worse than champion", metric=metric, not_worse_than="champion")
    path = save_policy(Policy((gate,)), folder)
    bound = "max" if lower_is_better(metric) else "min"
    value = float(f"{metrics[metric]:.3g}")
    # Indented as the list above it: taking the marks off leaves a valid file.
    lines = [f"  - name: {metric} threshold", f"    metric: {metric}", f"    {bound}: {value!r}"]
    example = "".join(f"#{line}\n" for line in lines)
    if math.isfinite(value) and metric.isidentifier():
        head = "# Without the marks, a fixed threshold as well:\n"
        path.write_text(path.read_text(encoding="utf-8") + head + example, encoding="utf-8")


def _warnings(
    tracked: Tracked,
    chosen: Attempt,
    proof: Mapping[str, Any],
    widened: str | None,
    environment: ReplayEnvironment,
) -> tuple[str, ...]:
    material, found = chosen.made.material, list(tracked.notes)
    other = environment.differs_from(tracked.interpreter, tracked.python)
    if other is not None:
        found.append(f"it was replayed by another Python than it was tracked with: {other}")
    if widened is not None:
        found.append(f"more cells are kept than the result seemed to need: {widened}")
    if proof["verdict"] == "unproven":
        found.append(f"not proven equal: {proof.get('reason')}")
    if proof["verdict"] == "within_tolerance":
        reasons = ", ".join(dict.fromkeys(text for _, text in chosen.made.cut.unseeded))
        found.append(
            "it is not deterministic: its replays differ among themselves"
            + (f" (drawn without a seed: {reasons})" if reasons else "")
        )
    if proof.get("edited"):
        found.append(f"your edits are kept: {', '.join(proof['edited'])}")
    found += [f"not as many steps: {note}" for note in chosen.made.refused]
    found += [f"the metric {m} cannot be computed again" for m in material.metrics.missing]
    if material.ours.still:
        found.append(f"the steps need this package installed, for {', '.join(material.ours.still)}")
    if chosen.model is not None and "reason" in chosen.model:
        found.append(f"the model's predictions were not compared: {chosen.model['reason']}")
    for model in () if tracked.run is None else tracked.run.models:
        if model.blob is None:
            found.append(f"the model {model.name} was not kept when it was tracked: {model.reason}")
    if chosen.work.steps[-1].model is None and tracked.run is not None and tracked.run.register:
        found.append(f"no model is handed over, so no version of {tracked.run.register} is made")
    return tuple(found)
