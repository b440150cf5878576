"""The run card below a tracked cell: one payload, as JSON for our renderer, as HTML and as a line.

The payload stays in the notebook file, so it is bounded: long values are shortened, long lists
cut, and what was cut is counted.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from ..config import Config, public_uri
from ..model.events import EnvironmentRecord, FileRecord, InputRecord, RunRecord, RunStarted
from ..model.registry import lower_is_better
from ..project import Project
from .card_html import render_html
from .card_text import render_text
from .card_values import MARK, MIME, json_value, one_of
from .sparkline import thin

__all__ = [
    "LIMIT",
    "MIME",
    "bundle",
    "card_payload",
    "file_row",
    "live_payload",
    "mlflow_link",
    "render_html",
    "render_text",
    "with_inputs",
]

LIMIT = 64 * 1024  # Bytes of the payload as JSON.
_ENTRIES = 200  # Values, inputs, files ... of one kind, at most.
_SERIES = 12
_POINTS = 40


def card_payload(
    run: RunRecord,
    *,
    experiment: str,
    root: Path,
    first: bool,
    dry_run: bool = False,
    baseline: Mapping[str, Any] | None = None,
    environment: EnvironmentRecord | None = None,
    mlflow: Mapping[str, Any] | None = None,
    redact: bool = True,
) -> dict[str, Any]:
    """Return the card's data: plain JSON of at most ``LIMIT`` bytes, NaN and infinities as words.

    ``baseline`` is what the run is compared with (see ``baseline.find_baseline``), ``environment``
    the session's, ``mlflow`` what ``mlflow_link`` says.  With ``redact`` secrets in texts are
    replaced, as in the journal: the card is kept in the notebook.

    In the card ``deltas`` maps a metric to its ``before``, ``change`` and ``better`` (``None``:
    neither), ``changed`` a parameter to what it was; ``series`` holds a few dozen points of each
    metric that was logged by steps; ``cut`` counts what was left away of each list or table,
    ``redacted`` the secrets that were replaced.
    """
    tuned = _tuned(run)
    changed = _changed({**tuned, **run.params}, baseline)
    # What differs comes first: the rest is folded away.
    tuned = dict(sorted(tuned.items(), key=lambda item: item[0] not in changed))
    # Whole texts are looked through: half a secret would not be found.
    said = _clean(
        {
            "name": run.name,
            "experiment": experiment,
            "params": run.params,
            "hyperparameters": tuned,
            "changed": changed,
            "models": [
                {
                    "name": model.name,
                    "class_name": model.class_name,
                    "kept": model.blob is not None,
                    "reason": model.reason,
                    "size": model.size,
                    "flavor": model.flavor,
                }
                for model in run.models
            ],
            "inputs": [_input(item) for item in run.inputs],
            "files": [file_row(item) for item in run.files],
            "seeds": run.seeds,
            "left_out": run.left_out,
            "warnings": list(run.warnings),
            "error": run.error,
            "branch": run.git_branch,
        },
        redact,
    )
    tables: dict[str, Any] = {
        "params": _values(said["params"]),
        "metrics": _values(run.metrics),
        "deltas": _deltas(run.metrics, baseline),
        "hyperparameters": _values(said["hyperparameters"]),
        "changed": _values(said["changed"]),
        "models": [_values(item) for item in said["models"]],
        "inputs": [_values(item) for item in said["inputs"]],
        "files": [_values(item) for item in said["files"]],
        "seeds": _values(said["seeds"]),
        "resources": _values(run.resources),
        "left_out": _values(said["left_out"]),
        "warnings": [one_of(text, 1000) for text in said["warnings"]],
    }
    fixed: dict[str, Any] = {
        "version": 1,
        "run_id": run.run_id,
        "name": one_of(said["name"], 200),
        "status": run.status,
        "experiment": one_of(said["experiment"], 200),
        "project": _home_relative(root),
        "duration": round(run.duration, 6),
        "register": run.register,
        "registered_model": run.register_model,
        "notebook": run.notebook,
        "error": _error(said["error"]),
        "first": first,
        "dry_run": dry_run,
        "baseline": _shown_baseline(baseline),
        "bytes_kept": _bytes_kept(run),
        "data_added": sum(item.added for item in run.inputs),
        "environment": _environment(environment),
        "git": _git(run, said["branch"]),
        "modules": len(run.modules),
        "mlflow": None if mlflow is None else dict(mlflow),
    }
    if run.adopted is not None and fixed["mlflow"] is not None:
        fixed["mlflow"]["run"] = run.adopted
    return _bounded(fixed, tables, run.series)


def live_payload(
    started: RunStarted,
    *,
    experiment: str,
    root: Path,
    elapsed: float,
    series: Mapping[str, list[list[float]]],
    params: Mapping[str, Any] | None = None,
    redact: bool = True,
) -> dict[str, Any]:
    """Return the card's data while the run goes on: ``live``, with the latest ``metrics``."""
    fixed: dict[str, Any] = {
        "version": 1,
        "run_id": started.run_id,
        "name": one_of(started.name, 200),
        "status": "RUNNING",
        "experiment": one_of(experiment, 200),
        "project": _home_relative(root),
        "duration": round(elapsed, 3),
        "register": None,
        "registered_model": None,
        "notebook": started.notebook,
        "error": None,
        "first": False,
        "dry_run": False,
        "live": True,
    }
    tables: dict[str, Any] = {
        "params": _values(_clean({"params": dict(params or {})}, redact)["params"]),
        "metrics": _values({name: points[-1][1] for name, points in series.items() if points}),
        "models": [],
        "warnings": [],
    }
    return _bounded(fixed, tables, series)


def with_inputs(
    card: Mapping[str, Any], inputs: Iterable[InputRecord], *, redact: bool = True
) -> dict[str, Any] | None:
    """The card with what became known of its inputs; ``None`` where nothing of it would show.

    An input that the card does not have, as of a long list, stays away.
    """
    rows = _clean({"inputs": [_input(item) for item in inputs]}, redact)["inputs"]
    found = {(row["name"], row["source"]): row for row in map(_values, rows)}
    shown = list(card.get("inputs", ()))
    new = [found.get((row["name"], row["source"]), row) for row in shown]
    changed = dict(card) | {"inputs": new}
    changed["data_added"] = sum(row.get("added") or 0 for row in new)
    if new == shown or len(json.dumps(changed, ensure_ascii=False).encode()) >= LIMIT:
        return None
    return changed


def bundle(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the MIME bundle to display."""
    return {MIME: dict(card), "text/html": render_html(card), "text/plain": render_text(card)}


def mlflow_link(project: Project, config: Config) -> dict[str, str]:
    """How a person sees the project's runs in MLflow.

    ``{"uri": ...}`` for a server, without the password that its address may carry; else
    ``{"command": ...}``, the line that starts MLflow's own interface on the project's store.
    """
    uri = config.tracking_uri
    if uri is not None and uri.split(":", 1)[0] in ("http", "https"):
        return {"uri": public_uri(uri)}
    words = ["mlflow", "ui", "--backend-store-uri"]
    if uri is not None and uri != project.default_tracking_uri:
        return {"command": shlex.join([*words, public_uri(uri)])}
    state = project.relative(project.state)
    if Path(state).is_absolute():
        return {"command": shlex.join([*words, project.default_tracking_uri])}
    folder = _home_relative(project.root)
    # Quoted whole, a tilde would not be the home folder any more.
    tilde, rest = ("~/", folder[2:]) if folder.startswith("~/") else ("", folder)
    place = f"cd {tilde}{shlex.quote(rest) if rest else ''}"
    return {"command": f"{place} && {shlex.join([*words, f'sqlite:///{state}/mlflow.db'])}"}


def _bounded(
    fixed: dict[str, Any], tables: dict[str, Any], series: Mapping[str, list[list[float]]]
) -> dict[str, Any]:
    """Put the parts together; of what is long, so many entries that the whole keeps the limit."""
    entries, points = _ENTRIES, _POINTS
    while True:
        card = dict(fixed)
        cut = {}
        for name, table in tables.items():
            card[name] = _first(table, entries)
            if len(card[name]) < len(table):
                cut[name] = len(table) - len(card[name])
        drawn = list(series.items())[: min(_SERIES, entries)]
        card["series"] = {
            one_of(name, 200): {"count": len(course), "points": thin(course, points)}
            for name, course in drawn
            if course
        }
        card["cut"] = cut
        text = json.dumps(card, ensure_ascii=False)
        card["redacted"] = len(MARK.findall(text)) + text.count('"***"')
        if entries == 0 or len(text.encode()) < LIMIT - 100:
            return card
        entries, points = entries // 2, max(8, points // 2)


def _first(table: Any, entries: int) -> Any:
    if len(table) <= entries:
        return table
    if isinstance(table, dict):
        return dict(list(table.items())[:entries])
    return table[:entries]


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {one_of(str(name), 200): json_value(value) for name, value in values.items()}


def _tuned(run: RunRecord) -> dict[str, Any]:
    """Hyperparameters that the person did not name: those are among the parameters."""
    return {k: v for k, v in run.hyperparameters.items() if k not in run.params}


def _deltas(
    metrics: Mapping[str, float], baseline: Mapping[str, Any] | None
) -> dict[str, dict[str, Any]]:
    before = baseline.get("metrics", {}) if baseline is not None else {}
    found = {}
    for name, value in metrics.items():
        old = before.get(name)
        if not _is_number(old) or not _is_number(value):
            continue
        change = value - old
        if not math.isfinite(change):
            continue
        better = None if change == 0 else (change < 0) == lower_is_better(name)
        found[one_of(name, 200)] = {
            "before": json_value(old), "change": json_value(change), "better": better,
        }  # fmt: skip
    return found


def _changed(values: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the parameters that both have were, where it was something else.

    MLflow keeps parameters as text, shortened where it is long.
    """
    before = baseline.get("params", {}) if baseline is not None else {}
    return {
        name: before[name]
        for name, value in values.items()
        if name in before and str(before[name])[:250] != str(value)[:250]
    }


def _shown_baseline(baseline: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if baseline is None:
        return None
    return {
        "label": one_of(str(baseline.get("label", "")), 200),
        "kind": baseline.get("kind", "last"),
        "run_id": baseline.get("run_id"),
    }


def _input(item: InputRecord) -> dict[str, Any]:
    digest = item.digest.rpartition(":")[2][:12] if item.digest else None
    return {
        "name": item.name,
        "kind": item.kind,
        "rows": item.rows,
        "columns": item.columns,
        "size": item.size,
        "digest": digest,
        "source": item.source,
        "how": item.how,
        "reason": item.reason,
        "snapshot": item.snapshot,
        "added": item.added,
    }


def file_row(item: FileRecord) -> dict[str, Any]:
    """A file beside a run as it is listed, without its content."""
    return {
        "name": item.name,
        "kind": item.kind,
        "size": item.size,
        "kept": item.blob is not None or item.text is not None,
        "reason": item.reason,
    }


def _bytes_kept(run: RunRecord) -> int:
    models = sum(model.size for model in run.models if model.blob is not None)
    files = sum(
        len(item.text.encode("utf-8", "replace")) if item.text is not None else item.size
        for item in run.files
        if item.blob is not None or item.text is not None
    )
    return models + files


def _environment(environment: EnvironmentRecord | None) -> dict[str, Any] | None:
    if environment is None:
        return None
    return {
        "python": one_of(environment.python, 100),
        "platform": one_of(environment.platform, 200),
        "packages": len(environment.packages),
        "digest": environment.digest.rpartition(":")[2][:12],
    }


def _clean(said: dict[str, Any], redact: bool) -> dict[str, Any]:
    if not redact:
        return said
    from ..journal import default_redactor

    return default_redactor().redact_record(said)


def _error(error: Mapping[str, Any] | None) -> dict[str, str] | None:
    return None if error is None else {k: one_of(str(v), 1000) for k, v in error.items()}


def _git(run: RunRecord, branch: str | None) -> dict[str, Any] | None:
    if run.git_commit is None:
        return None
    return {
        "commit": run.git_commit[:10],
        "branch": None if branch is None else one_of(branch, 200),
        "dirty": run.git_dirty,
    }


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _home_relative(path: Path) -> str:
    try:
        return "~/" + path.relative_to(Path.home()).as_posix()
    except (ValueError, RuntimeError):
        return str(path)
