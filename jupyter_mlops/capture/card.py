"""The run card below a tracked cell: one payload, as JSON for our renderer, as HTML and as a line.

The HTML needs nothing but itself, takes its colours from what surrounds it, and so reads in light
and dark, in Notebook 7, in an exported page and in a notebook that is mailed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from ..model.events import RunRecord
from ..model.registry import key_metric

__all__ = ["MIME", "bundle", "card_payload", "render_html", "render_text"]

MIME = "application/vnd.jupyter-mlops.run+json"
_SHOWN = 12  # Values shown at once; the rest is counted.
_MARKS = {"FINISHED": "#2da44e", "FAILED": "#cf222e", "KILLED": "#bf8700"}


def card_payload(
    run: RunRecord, *, experiment: str, root: Path, first: bool, dry_run: bool = False
) -> dict[str, Any]:
    """Return the card's data: plain JSON, in which NaN and infinities are words."""
    return {
        "version": 1,
        "run_id": run.run_id,
        "name": run.name,
        "status": run.status,
        "experiment": experiment,
        "project": _home_relative(root),
        "duration": round(run.duration, 6),
        "params": {name: _json_value(value) for name, value in run.params.items()},
        "metrics": {name: _json_value(value) for name, value in run.metrics.items()},
        "models": [
            {
                "name": model.name,
                "class_name": model.class_name,
                "kept": model.blob is not None,
                "reason": model.reason,
            }
            for model in run.models
        ],
        "register": run.register,
        "registered_model": run.register_model,
        "notebook": run.notebook,
        "error": run.error,
        "warnings": list(run.warnings),
        "first": first,
        "dry_run": dry_run,
    }


def bundle(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the MIME bundle to display."""
    return {MIME: dict(card), "text/html": render_html(card), "text/plain": render_text(card)}


def render_text(card: Mapping[str, Any]) -> str:
    """One line for terminals and logs, and one more for each warning."""
    parts = [f"run {card['name']}: {_status(card)} in {_seconds(card['duration'])}"]
    metrics = card["metrics"]
    if metrics:
        first = key_metric(metrics)
        names = sorted(metrics, key=lambda name: name != first)[:3]
        more = f" (+{len(metrics) - 3})" if len(metrics) > 3 else ""
        parts.append(", ".join(f"{n}={_value(metrics[n])}" for n in names) + more)
    kept = [m for m in card["models"] if m["kept"]]
    if kept:
        parts.append("model " + ", ".join(f"{m['name']} ({m['class_name']})" for m in kept))
    if card["register"]:
        parts.append(f"registers {card['register']}")
    if card["first"] and not card["dry_run"]:
        parts.append(f"project {card['project']}")
    return "\n".join([" | ".join(parts), *(f"jupyter_mlops: {text}" for text in card["warnings"])])


def render_html(card: Mapping[str, Any]) -> str:
    """A self-contained fragment; everything from the notebook is escaped."""
    mark = _MARKS.get(card["status"], "#808080")
    head = (
        f'<span style="color:{mark}" aria-hidden="true">&#9679;</span> '
        f"<strong>{escape(card['name'])}</strong> "
        f'<span style="opacity:.75">{escape(_status(card))} in {_seconds(card["duration"])}'
        + (f" &middot; {escape(card['experiment'])}" if card["experiment"] else "")
        + ("" if card["dry_run"] else f" &middot; <code>{escape(card['run_id'][:10])}</code>")
        + "</span>"
    )
    rows = [_pairs("metrics", card["metrics"]), _pairs("parameters", card["params"])]
    for model in card["models"]:
        what = f"<code>{escape(model['name'])}</code> {escape(model['class_name'])}"
        if not model["kept"]:
            what += f' <span style="opacity:.75">not kept: {escape(model["reason"] or "")}</span>'
        elif card["register"] and model["name"] == card["registered_model"]:
            what += f" &rarr; a version of <strong>{escape(card['register'])}</strong>"
        rows.append(_row("model", what))
    if card["error"]:
        text = f"{card['error'].get('ename', '')}: {card['error'].get('evalue', '')}"
        rows.append(_row("error", escape(text[:300])))
    rows += [_row("note", escape(text)) for text in card["warnings"]]
    if card["first"] and not card["dry_run"]:
        rows.append(_row("project", f"<code>{escape(card['project'])}</code>"))
    return (
        '<div style="border:1px solid rgba(128,128,128,.4);border-radius:4px;padding:6px 10px;'
        'margin:4px 0;font-size:90%;line-height:1.5;color:inherit;max-width:60em">'
        f"<div>{head}</div>{''.join(rows)}</div>"
    )


def _pairs(label: str, values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    shown = [
        f'<span style="white-space:nowrap;margin-right:1em"><span style="opacity:.75">'
        f"{escape(name)}</span> {escape(_value(value))}</span>"
        for name, value in list(values.items())[:_SHOWN]
    ]
    if len(values) > _SHOWN:
        shown.append(f'<span style="opacity:.75">and {len(values) - _SHOWN} more</span>')
    return _row(label, " ".join(shown))


def _row(label: str, content: str) -> str:
    return (
        '<div style="display:flex;gap:8px"><span style="opacity:.6;min-width:6em;flex:none">'
        f'{label}</span><span style="overflow-wrap:anywhere;min-width:0">{content}</span></div>'
    )


def _status(card: Mapping[str, Any]) -> str:
    words = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "interrupted"}
    status = words.get(card["status"], str(card["status"]).lower())
    return f"{status}, dry run: nothing recorded" if card["dry_run"] else status


def _seconds(seconds: float) -> str:
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _value(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        text = value if isinstance(value, str) else repr(value)
        return text if len(text) <= 60 else text[:57] + "..."
    if isinstance(value, float) and not (value.is_integer() and abs(value) < 1e9):
        return f"{value:.5g}"
    return str(int(value))


def _json_value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _json_value(item) for key, item in value.items()}
    return value


def _home_relative(path: Path) -> str:
    try:
        return "~/" + path.relative_to(Path.home()).as_posix()
    except (ValueError, RuntimeError):
        return str(path)
