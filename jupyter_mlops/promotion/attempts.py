"""One way to promote, tried out: composed, replayed in fresh kernels, and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..dataflow import Slice
from ..errors import UsageError
from ..model.ports import CellProgress, NotebookExecutor
from ..project import Project
from .boundaries import cut_at
from .handoffs import Written
from .judging import Judgement, judge
from .models import ModelComparison, compare_models
from .parting import Parting, find_parting
from .plan import PlanEdits
from .planning import Design, design
from .replay import Difference, Replay, Replayer
from .step import LIBRARY, Composed, Pipework, compose
from .tracked import Tracked

__all__ = ["Attempt", "Bench"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried: the design, its notebooks, and how they replayed."""

    made: Design
    work: Pipework
    judgement: Judgement
    model: ModelComparison | None = None


@dataclass
class Bench:
    """Where pipelines are built and replayed; nothing of it stays.

    ``new`` is the folder to build in, ``place`` the notebook's folder relative to the project;
    ``truth`` says of variables what they are after a replay of all cells.
    """

    project: Project
    tracked: Tracked
    name: str
    place: str
    kernel: str
    interpreter: str | None
    new: Path
    scratch: Path
    executor: NotebookExecutor
    edits: PlanEdits = field(default_factory=PlanEdits)
    drop_displays: bool = False
    allow_pickle: bool = False
    given: Mapping[str, Any] = field(default_factory=dict)
    progress: Callable[[CellProgress], None] | None = None
    truth: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.replayer = Replayer(
            self.project,
            self.executor,
            name=self.name,
            folder=self.new,
            scratch=self.scratch,
            kernel=self.kernel,
            given=self.given,
            allow_pickle=self.allow_pickle,
            progress=self.progress,
        )

    def measure(self, everything: Slice) -> str | None:
        """Replay all cells, for what nobody recorded: targets, or the numbers of the last cell.

        Returns what went wrong, if something did; then nothing is known.
        """
        tracked = self.tracked
        made = design(tracked, everything, steps="one")
        step = self._compose(made, {}).steps[0]
        flow = made.cut.flows[tracked.target]
        bound = sorted(flow.must_stores - {p.original for p in made.material.parameters})
        names = list(tracked.targets) or bound
        found = self.replayer.run([step], names)
        if found.error is not None:
            return f"{found.error.get('ename')}: {found.error.get('evalue')}"
        self.truth = found.values
        if tracked.run is None and not tracked.targets:
            numbers = {n: v["number"] for n, v in found.values.items() if v["number"] is not None}
            self.tracked = replace(tracked, measured=numbers)
        return None

    def attempt(self, cut: Slice, mode: str) -> Attempt:
        """Build a pipeline of a slice and replay it.

        Raises ``UsageError`` for edits and targets that cannot be.
        """
        made = self._design(cut, mode)
        formats: dict[str, Written] = {}
        if made.cuts or self.tracked.targets:
            tried = self._try_hand_offs(made, cut, mode)
            if isinstance(tried, Attempt):
                return tried
            made, formats = tried
        work = self._compose(made, formats)
        self.write_library(work.library)
        compared: list[ModelComparison] = []
        names = list(self.truth)

        def compare(replayed: Replay) -> Difference | None:
            return self._compare_model(made, replayed, compared)

        judgement = judge(
            self.tracked.metrics if made.material.metrics.expressions else {},
            self.truth,
            self.replayer.run(work.steps, names),
            lambda: self.replayer.run(work.steps, names),
            compare,
        )
        return Attempt(made, work, judgement, compared[0] if compared else None)

    def parting(self, found: Attempt) -> Parting | None:
        """Where the replay of ``found`` first went another way, if that is to be seen."""
        cut = found.made.cut
        whole = self._design(cut, "one")
        step = self._compose(whole, {}).steps[0]
        self.write_library(None)
        return find_parting(self.replayer, self.tracked, cut, whole.material.kept, step)

    def write_library(self, text: str | None) -> None:
        """Put ``lib.py`` where the replay finds it, or take it away."""
        path = self.new / LIBRARY
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(text, encoding="utf-8")

    def _design(
        self,
        cut: Slice,
        mode: str,
        without: frozenset[int] = frozenset(),
        notes: Sequence[str] = (),
    ) -> Design:
        return design(
            self.tracked, cut, steps=mode, edits=self.edits, drop=self.drop_displays,
            without=without, notes=notes,
        )  # fmt: skip

    def _compose(self, made: Design, formats: Mapping[str, Written]) -> Pipework:
        model = next(
            (
                t
                for t in self.tracked.targets
                if t in formats
                and formats[t].format == "skops"
                and self.truth.get(t, {}).get("predicts")
            ),
            None,
        )
        return compose(made.material, made.layout, self.name, self.place, formats, model)

    def _try_hand_offs(
        self, made: Design, cut: Slice, mode: str
    ) -> Attempt | tuple[Design, dict[str, Written]]:
        """Replay all cells in one kernel, and see there what can pass from step to step.

        Steps between which something passes that no file gives back exactly become one.
        """
        whole = self._design(cut, "one")
        work = self._compose(whole, {})
        step = work.steps[0]
        self.write_library(None)
        flowing = made.material.flowing
        at: dict[str, list[str]] = {}
        ids = []
        for number, begin in enumerate(made.cuts):
            names = {*cut_at(flowing, begin.position).values, *made.layout.drafts[number].outputs}
            ids.append(_place(step, begin.position))
            at[ids[-1]] = sorted({*at.get(ids[-1], []), *names})
        targets = list(self.tracked.targets)
        at[""] = sorted({*at.get("", []), *targets})
        replayed, found = self.replayer.probe(step, at)
        if replayed.error is not None:
            return Attempt(whole, work, Judgement("differs", replayed))
        seen = dict(zip(at, found, strict=True))
        formats: dict[str, Written] = {}
        for name in targets:
            about = seen[""].values.get(name, {"reason": "it is not bound at the end"})
            if "format" not in about:
                raise UsageError(
                    f"{name} cannot be promoted: {about['reason']}",
                    hint="Name what is made of it, or allow pickles with --allow-pickle.",
                )
            formats[name] = _written(name, about)
        without, notes = self._refused(made, [seen[i] for i in ids], formats)
        if without:
            if self.edits.steps:
                raise UsageError("the steps cannot be cut as drawn: " + "; ".join(notes))
            made = self._design(cut, mode, frozenset(without), notes)
        return made, formats

    def _refused(
        self, made: Design, seen: Sequence[Replay], formats: dict[str, Written]
    ) -> tuple[set[int], list[str]]:
        drafts, flowing = made.layout.drafts, made.material.flowing
        without: set[int] = set()
        notes: list[str] = []
        for number, (begin, there) in enumerate(zip(made.cuts, seen, strict=True)):
            changed = frozenset().union(*(f.may_mutate for f in flowing.flows[begin.position :]))
            live = {v for d in drafts[: number + 1] for v in d.outputs}
            for group in there.shared:
                both = sorted(group & live)
                if len(both) > 1 and changed & set(both):
                    without.add(begin.position)
                    notes.append(f"{' and '.join(both)} share an object that is changed later")
            for variable in drafts[number].outputs:
                about = there.values.get(variable, {"reason": "it is not always bound"})
                if "format" in about:
                    formats[variable] = _written(variable, about)
                    continue
                last = max(i for i, d in enumerate(drafts) if d.inputs.get(variable) == number)
                without |= {c.position for c in made.cuts[number:last]}
                notes.append(f"{variable}: {about['reason']}")
        return without, list(dict.fromkeys(notes))

    def _compare_model(
        self, made: Design, replayed: Replay, compared: list[ModelComparison]
    ) -> Difference | None:
        record, run = made.material.model, self.tracked.run
        if record is None or run is None:
            return None
        if replayed.model is None or not replayed.model.is_file():
            return None
        found = compare_models(
            self.project, record, replayed.model, self.interpreter, self.scratch,
            self.tracked.notebook.parent, run.run_id,
        )  # fmt: skip
        compared.append(found)
        if found.get("equal", True):
            return None
        much = f", by up to {found['largest']:.3g}" if "largest" in found else ""
        text = f"{found['different']} of {found['rows']} rows{much}"
        return Difference(record.name, None, text, "model")


def _place(step: Composed, position: int) -> str:
    """The id of the first cell from ``position`` on that was written."""
    later = [i for i in sorted(step.places) if i >= position]
    return step.places[later[0]] if later else ""


def _written(variable: str, about: Mapping[str, Any]) -> Written:
    return Written(
        variable, about["format"], tuple(about.get("trusted", ())), about.get("name"),
        about.get("digest"),
    )  # fmt: skip
