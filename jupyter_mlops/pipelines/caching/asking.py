"""What the cache would say of each step of a pipeline if it were run now."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from ...model.ids import new_id
from ...model.pipeline import Pipeline
from ...model.wiring import load_port
from ...project import Project
from ..plan import plan_pipeline
from .cache import RunCache, Verdict, with_evidence

__all__ = ["ask"]


def ask(
    project: Project, pipeline: Pipeline, given: Mapping[str, Any], data: str = "auto"
) -> list[tuple[str, Verdict]]:
    """Each step's name and verdict, in their order; nothing is executed.

    A step whose inputs would be made anew cannot be looked up, and says so.  Raises what planning
    a run raises, and ``ProjectError``.
    """
    project.create()
    plan = plan_pipeline(project, pipeline, given, new_id(), load_port("executor")(), data)
    plan = with_evidence(plan)
    cache = RunCache(project, pipeline.name, plan.run_id, 0)
    found: list[tuple[str, Verdict]] = []
    missing: dict[str, str] = {}
    plan.folder.mkdir(mode=0o700, parents=True)  # what hits restore is another step's input
    try:
        for step in plan.steps:
            lost = [need for need in step.needs if need in missing]
            if lost:
                why = (f"not looked up: {', '.join(lost)} would run first",)
                verdict = Verdict(False, "", why)
            else:
                verdict = cache.explain(step)
                if verdict.hit and not cache.restore(step, verdict):
                    verdict = Verdict(False, verdict.key, tuple(verdict.notes))
            if not verdict.hit:
                missing[step.name] = verdict.key
            found.append((step.name, verdict))
    finally:
        cache.close()
        shutil.rmtree(plan.folder, ignore_errors=True)
    return found
