"""``plan``: what a promotion would keep and write, and why, before a kernel is started."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..config import Config
from ..dataflow import Slice, backward_slice, goes_on
from ..errors import UsageError
from ..project import Project
from .boundaries import Cut, choose_cuts, cut_at
from .files import planned_files
from .layout import Layout, lay_out, step_names
from .markdown import headings
from .material import Material, prepare
from .plan import (
    HandOff,
    PlanEdits,
    PlannedCell,
    PlannedParameter,
    PlannedStep,
    PromotionPlan,
)
from .ranking import rank
from .reasons import Reasons
from .tracked import Tracked, find_tracked

__all__ = ["MODES", "Design", "design", "pipeline_name", "plan", "slices_of"]

MODES = ("auto", "one", "headings")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_STEP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Design:
    """The kept cells divided into steps; ``refused`` are cuts that could not be."""

    material: Material
    cut: Slice
    cuts: tuple[Cut, ...]
    layout: Layout
    refused: tuple[str, ...]
    edits: PlanEdits

    @property
    def first_cells(self) -> tuple[int, ...]:
        """The positions at which steps begin, but for the first."""
        return tuple(cut.position for cut in self.cuts)


def plan(
    project: Project,
    config: Config,
    notebook: Path,
    targets: Sequence[str] | None = None,
    run: str | None = None,
    *,
    name: str | None = None,
    steps: str = "auto",
    edits: PlanEdits | None = None,
    drop_displays: bool = False,
) -> PromotionPlan:
    """Say what ``promote`` with the same arguments would write.

    Nothing is executed or written.  ``targets`` are variables, none for the tracked cell; ``steps``
    is ``auto``, ``one`` or ``headings``.

    Raises ``NotebookError`` and ``UsageError`` for input that cannot be promoted.
    """
    del config  # nothing of it applies yet; every service takes it
    notebook = Path(notebook).resolve()
    tracked = find_tracked(project, notebook, run, tuple(targets or ()))
    chosen = pipeline_name(name, notebook)
    cut = slices_of(tracked)[0]
    made = design(tracked, cut, steps=steps, edits=edits or PlanEdits(), drop=drop_displays)
    return to_plan(project, made, chosen, steps)


def pipeline_name(name: str | None, notebook: Path) -> str:
    """The name given, or one made of the notebook's; ``UsageError`` for what cannot be one."""
    if name is None:
        words = re.findall(r"[A-Za-z0-9]+", notebook.stem)
        return "-".join(words).lower()[:100] or "pipeline"
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"{name!r} cannot name a pipeline",
            hint="Use letters, digits, '-', '_' and '.', beginning with a letter or a digit.",
            field="name",
        )
    return name


def slices_of(tracked: Tracked) -> list[Slice]:
    """The slices to try: as seen, from the text alone, and everything that ran.

    A wider one is there only where it has other cells.
    """
    names = tracked.targets or None
    first = backward_slice(tracked.events, tracked.target, names)
    found = [first]
    if any(event.evidence is not None for event in tracked.events):
        blind = tuple(replace(event, evidence=None) for event in tracked.events)
        found.append(backward_slice(blind, tracked.target, names))
    every = tuple(
        i for i, event in enumerate(tracked.events[: tracked.target + 1]) if goes_on(event)
    )
    found.append(replace(first, indices=every))
    distinct: list[Slice] = []
    for cut in found:
        if all(cut.indices != other.indices for other in distinct):
            distinct.append(cut)
    return distinct


def design(
    tracked: Tracked,
    cut: Slice,
    *,
    steps: str = "auto",
    edits: PlanEdits | None = None,
    drop: bool = False,
    without: frozenset[int] = frozenset(),
    notes: Sequence[str] = (),
) -> Design:
    """Divide a slice into steps.

    ``without`` are positions of the kept cells where no step may begin, for the reasons in
    ``notes``.  Raises ``UsageError`` for edits that cannot be; its ``fields["field"]`` names
    the edit: ``edits.cells.SEQ``, ``edits.parameters.NAME`` or ``edits.steps.FIRST``.
    """
    if steps not in MODES:
        raise UsageError(f"there is no way {steps!r} to make steps", hint=f"One of {MODES}.")
    edits = edits or PlanEdits()
    kept = _kept(tracked, cut, edits)
    material = prepare(tracked, cut, kept, edits.parameters, drop_displays=drop)
    flowing = material.flowing
    positions = {e.seq: i for i, e in enumerate(flowing.events)}
    refused: list[str] = []
    names: list[str] | None = None
    ids = [event.cell_id for event in flowing.events]
    titles = headings(tracked.document, {i for i in ids if i is not None})
    above = {i: titles[c] for i, c in enumerate(ids) if c in titles and ids.index(c) == i}
    if edits.steps and steps != "one":
        cuts, names = _edited(material, edits, positions)
    else:
        cuts, refused = choose_cuts(flowing, above, steps)
    if names is None or without:
        cuts = [c for c in cuts if c.position not in without]
        last = "train" if material.model is not None else "main"
        names = (
            step_names(flowing, cuts, last, above)
            if not edits.steps or steps == "one"
            else [edits.steps[0].name, *(c.title or last for c in cuts)]
        )
    layout = lay_out(flowing, cuts, names)
    return Design(material, cut, tuple(cuts), layout, (*refused, *notes), edits)


def _kept(tracked: Tracked, cut: Slice, edits: PlanEdits) -> tuple[int, ...]:
    kept = set(cut.indices)
    by_seq = {event.seq: i for i, event in enumerate(tracked.events[: tracked.target + 1])}
    for seq, keep in edits.cells.items():
        if seq not in by_seq:
            raise UsageError(
                f"edits: there is no executed cell [{seq}] before the result",
                field=f"edits.cells.{seq}",
            )
        index = by_seq[seq]
        if not keep and index == tracked.target and not tracked.targets:
            raise UsageError(
                f"edits: cell [{seq}] is the one to promote and cannot be dropped",
                field=f"edits.cells.{seq}",
            )
        if keep and not goes_on(tracked.events[index]):
            raise UsageError(
                f"edits: cell [{seq}] raised when it ran and cannot be kept",
                field=f"edits.cells.{seq}",
            )
        (kept.add if keep else kept.discard)(index)
    return tuple(sorted(kept))


def _edited(
    material: Material, edits: PlanEdits, positions: dict[int, int]
) -> tuple[list[Cut], list[str]]:
    """The cuts that the person drew."""
    names = [step.name for step in edits.steps]
    for step in edits.steps:
        if _STEP.fullmatch(step.name) is None or names.count(step.name) > 1:
            raise UsageError(
                f"edits: {step.name!r} cannot name a step, or names two",
                field=f"edits.steps.{step.first}",
            )
        if step.first not in positions:
            raise UsageError(
                f"edits: step {step.name!r} begins at [{step.first}]: no kept cell",
                field=f"edits.steps.{step.first}",
            )
    starts = [positions[step.first] for step in edits.steps]
    if starts != sorted(set(starts)):
        raise UsageError("edits: the steps must be in the order of their first cells")
    cuts = []
    for step, position in zip(edits.steps[1:], starts[1:], strict=True):
        cut = cut_at(material.flowing, position)
        if cut.refused is not None:
            raise UsageError(
                f"step {step.name!r} cannot begin at [{step.first}]: {cut.refused}",
                field=f"edits.steps.{step.first}",
            )
        cuts.append(replace(cut, reason="drawn by you", title=step.name))
    return cuts, names


def to_plan(project: Project, made: Design, name: str, mode: str) -> PromotionPlan:
    """Say in plain data what a design is."""
    material, tracked = made.material, made.material.tracked
    flowing = material.flowing
    step_of = {
        flowing.events[i].seq: made.layout.drafts[n].name for i, n in made.layout.step_of.items()
    }
    reasons = Reasons(tracked, made.cut, material.kept, made.edits.cells)
    cells = tuple(
        PlannedCell(
            seq=event.seq, name=reasons.name(i), cell_id=event.cell_id, source=event.source,
            kept=i in material.kept, reason=reasons.why(i), state=reasons.state(i),
            step=step_of.get(event.seq) if i in material.kept else None,
            seconds=round(event.ended - event.started, 3),
            changed_by_person=event.seq in made.edits.cells,
        )
        for i, event in enumerate(tracked.events[: tracked.target + 1])
    )  # fmt: skip
    warnings = list(tracked.notes)
    if made.cut.unseeded:
        words = ", ".join(dict.fromkeys(text for _, text in made.cut.unseeded))
        warnings.append(f"random numbers are drawn without a seed: {words}")
    if material.ours.still:
        used = ", ".join(material.ours.still)
        warnings.append(f"the steps need this package installed, for {used}")
    warnings += [f"the metric {m} cannot be computed again" for m in material.metrics.missing]
    return PromotionPlan(
        name=name,
        notebook=project.relative(tracked.notebook),
        basis=tracked.basis,
        run_id=tracked.run_id,
        targets=tracked.targets,
        mode=mode,
        cells=cells,
        parameters=_parameters(made),
        steps=_steps(made),
        files=planned_files(project, material),
        metrics=tracked.metrics if tracked.target in material.kept else {},
        model=None if material.model is None else material.model.name,
        unseeded=tuple(dict.fromkeys(text for _, text in made.cut.unseeded)),
        refused_cuts=made.refused,
        warnings=tuple(warnings),
    )


def _parameters(made: Design) -> tuple[PlannedParameter, ...]:
    material, tracked = made.material, made.material.tracked
    tagged_cells = [
        c.get("id") for c in tracked.document.cells if "parameters" in c.metadata.get("tags", [])
    ]
    events = tracked.events[: tracked.target + 1]
    found = []
    shown = list(material.parameters)
    left_out = [n for n, e in made.edits.parameters.items() if e.included is False]
    if left_out:
        plain = prepare(tracked, made.cut, material.kept, {})
        shown += [p for p in plain.parameters if p.original in left_out]
    for parameter in shown:
        event = material.flowing.events[parameter.cell]
        tagged = frozenset({parameter.original} if event.cell_id in tagged_cells else ())
        score, why = rank(parameter.original, material.sources, events, tagged)
        found.append(
            PlannedParameter(
                parameter.name, parameter.original, parameter.declared.default,
                parameter.declared.schema, score, why, event.seq,
                parameter.original not in left_out,
            )
        )  # fmt: skip
    return tuple(found)


def _steps(made: Design) -> tuple[PlannedStep, ...]:
    flowing, drafts = made.material.flowing, made.layout.drafts
    ends = [*made.first_cells, len(flowing.events)]
    return tuple(
        PlannedStep(
            name=draft.name,
            cells=tuple(flowing.events[i].seq for i in draft.cells),
            reason=draft.reason,
            inputs={v: drafts[source].name for v, source in draft.inputs.items()},
            outputs=tuple(HandOff(v, flowing.kind(v, ends[number])) for v in draft.outputs),
            needs=tuple(drafts[i].name for i in draft.needs),
        )
        for number, draft in enumerate(drafts)
    )
