"""From a run's outcome and its executed notebooks to its report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .executed import read_executed
from .report import DataReport, RunReport, Spread, StepReport, read_reports, write_reports

__all__ = ["build_report", "cleaned", "proof_spreads", "repeat_spreads"]

_TEXTS = ("pipeline.yaml", "lib.py", "policy.yaml")
_TEXT_LIMIT = 200_000


def build_report(
    outcome: Mapping[str, Any],
    root: Path,
    *,
    command: str = "",
    commit: str = "",
    started: str = "",
    data: Iterable[DataReport] = (),
) -> tuple[RunReport, dict[str, bytes]]:
    """The report of a run, and its images by file name (relative to the report's folder).

    ``outcome`` is ``RunOutcome.to_dict()``; ``root`` the project's folder, to which paths are made
    relative.  Executed notebooks are read where the outcome says that they are.
    """
    steps: list[StepReport] = []
    images: dict[str, bytes] = {}
    pipeline = outcome["kind"] == "pipeline"
    for entry in outcome["steps"]:
        named = f"{outcome['name']}-{entry['name']}" if pipeline else str(entry["name"])
        executed = Path(entry["output"]) if entry.get("output") else None
        cells, shown, content = read_executed(executed, named, entry.get("error"))
        images |= content
        steps.append(
            StepReport(
                name=str(entry["name"]),
                notebook=_relative(Path(entry["notebook"]), root),
                status=str(entry["status"]),
                seconds=float(entry["seconds"]),
                attempts=int(entry["attempts"]),
                error=entry.get("error"),
                cells=cells,
                images=tuple(replace(image, step=str(entry["name"])) for image in shown),
            )
        )
    metrics = dict(outcome["metrics"])
    for child in outcome.get("children", ()):
        for name, value in child.get("metrics", {}).items():
            # A notebook's own runs: its metrics are theirs, unless two have the same name.
            metrics.setdefault(name, value)
    folder = Path(outcome["steps"][0]["notebook"]).parent if pipeline and steps else None
    report = RunReport(
        name=str(outcome["name"]),
        kind=str(outcome["kind"]),
        run_id=str(outcome["run_id"]),
        status=str(outcome["status"]),
        exit_code=int(outcome["exit_code"]),
        seconds=float(outcome["seconds"]),
        started=started,
        commit=commit,
        params=dict(outcome["params"]),
        metrics={name: float(value) for name, value in metrics.items()},
        spreads={} if folder is None else proof_spreads(_proof(folder)),
        error=outcome.get("error"),
        warnings=tuple(outcome.get("warnings", ())),
        versions=tuple(f"{v['name']}@{v['version']}" for v in outcome.get("versions", ())),
        steps=tuple(steps),
        data=tuple(data),
        texts={} if folder is None else _texts(folder, root),
        command=command,
    )
    return report, images


def proof_spreads(proof: Mapping[str, Any]) -> dict[str, Spread]:
    """What the replays in a ``proof.json`` gave, for the metrics that were not always the same."""
    found = {}
    for name, learned in (proof.get("tolerance") or {}).items():
        values = learned.get("replayed") if isinstance(learned, Mapping) else None
        if isinstance(values, list) and len(values) > 1:
            found[str(name)] = Spread(tuple(float(value) for value in values), "proof")
    return found


def repeat_spreads(metrics: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """What several runs of the same gave, for each metric that all of them have."""
    if len(metrics) < 2:
        return {}
    names = [name for name in metrics[0] if all(name in other for other in metrics)]
    return {name: Spread(tuple(m[name] for m in metrics), "repeats") for name in names}


def cleaned(report: RunReport, clean: Callable[[str], str]) -> RunReport:
    """The report with each of its texts as ``clean`` returns it: without secrets."""

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return clean(value)
        if isinstance(value, Mapping):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [walk(item) for item in value]
        return value

    return read_reports(walk(write_reports([report])))[0]


def _relative(path: Path, root: Path) -> str:
    resolved = path.resolve()
    if resolved.is_relative_to(root.resolve()):
        return resolved.relative_to(root.resolve()).as_posix()
    return path.name


def _proof(folder: Path) -> dict[str, Any]:
    try:
        data = json.loads((folder / "proof.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _texts(folder: Path, root: Path) -> dict[str, str]:
    found = {}
    for name in _TEXTS:
        path = folder / name
        try:
            if path.stat().st_size <= _TEXT_LIMIT:
                found[_relative(path, root)] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
    return found
