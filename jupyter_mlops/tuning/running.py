"""Running combinations in worker processes, each a run nested in one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..project import Project
from .outcome import Combination
from .target import Target, metrics_of
from .workers import Workers

__all__ = ["Runs", "at_once"]


def at_once(jobs: int | None, count: int) -> int:
    """How many run at once: ``jobs``, at most one a processor and one a combination."""
    if jobs is not None and jobs < 1:
        raise UsageError(f"at least one run must go on at once, not {jobs}")
    return max(1, min(jobs or 1, os.cpu_count() or 1, count))


@dataclass
class Runs:
    """What all runs have in common; ``parent`` is the run they are nested in."""

    project: Project
    target: Target
    given: Mapping[str, Any]
    parent: str
    kind: str
    jobs: int
    timeout: float | None = None
    data: str = "auto"

    def run(
        self,
        next_one: Callable[[], tuple[int, Mapping[str, Any]] | None],
    ) -> Iterator[tuple[int, Combination]]:
        """Run what ``next_one`` gives out, until it gives nothing and nothing runs any more.

        It returns a number and the parameters, or ``None``: nothing for now.  Yields each number
        with what became of it.  What still runs when the iteration is left is ended.
        """
        workers = Workers(self.project, self.jobs)
        running: dict[int, Mapping[str, Any]] = {}
        try:
            while True:
                while workers.free:
                    found = next_one()
                    if found is None:
                        break
                    number, parameters = found
                    running[number] = parameters
                    workers.submit(number, self._request(parameters))
                if not running:
                    return
                answer = workers.wait()
                if answer is not None:
                    number, data = answer
                    yield number, _combination(dict(running.pop(number)), data)
        finally:
            workers.close()

    def _request(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "target": str(self.target.path),
            "parameters": {**self.given, **parameters},
            "parent": self.parent,
            "trigger": {self.kind: self.parent},
            "timeout": self.timeout,
            "data": self.data,
        }


def _combination(parameters: dict[str, Any], answer: Mapping[str, Any]) -> Combination:
    if "error" in answer:
        error = answer["error"]
        return Combination(parameters, "failed", error=_line(str(error.get("message", "error"))))
    outcome = answer["outcome"]
    finished = outcome["status"] == "FINISHED"
    problem = outcome.get("error") or {}
    text = f"{problem.get('ename', '')}: {problem.get('evalue', '')}".strip(": ")
    return Combination(
        parameters,
        "finished" if finished else "failed",
        outcome["run_id"],
        metrics_of(outcome),
        outcome["seconds"],
        None if finished else _line(text or outcome["status"]),
    )


def _line(text: str) -> str:
    return (text.splitlines() or [""])[0][:200]
