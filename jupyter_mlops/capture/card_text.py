"""The run card as a line, for terminals and logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.registry import key_metric
from .card_values import show_change, show_seconds, show_value

__all__ = ["render_text", "status_words"]

_WORDS = {
    "FINISHED": "finished", "FAILED": "failed", "KILLED": "interrupted", "RUNNING": "running",
}  # fmt: skip
_SHOWN = 3


def render_text(card: Mapping[str, Any]) -> str:
    """One line for terminals and logs, and one more for each warning."""
    word = "for" if card.get("live") else "in"
    parts = [f"run {card['name']}: {status_words(card)} {word} {show_seconds(card['duration'])}"]
    metrics, deltas = card["metrics"], card.get("deltas", {})
    if metrics:
        first = key_metric(metrics)
        names = sorted(metrics, key=lambda name: name != first)[:_SHOWN]
        shown = [
            f"{name}={show_value(metrics[name])}"
            + (f" ({show_change(deltas[name]['change'])})" if name in deltas else "")
            for name in names
        ]
        count = len(metrics) + card.get("cut", {}).get("metrics", 0)
        more = f" (+{count - _SHOWN})" if count > _SHOWN else ""
        parts.append(", ".join(shown) + more)
        baseline = card.get("baseline")
        if baseline and any(name in deltas for name in names):
            parts.append(f"against {baseline['label']}")
    kept = [m for m in card["models"] if m["kept"]]
    if kept:
        parts.append("model " + ", ".join(f"{m['name']} ({m['class_name']})" for m in kept))
    if card["register"]:
        parts.append(f"registers {card['register']}")
    if card["first"] and not card["dry_run"]:
        parts.append(f"project {card['project']}")
    return "\n".join([" | ".join(parts), *(f"jupyter_mlops: {text}" for text in card["warnings"])])


def status_words(card: Mapping[str, Any]) -> str:
    """How the run ended, in words."""
    status = _WORDS.get(card["status"], str(card["status"]).lower())
    return f"{status}, dry run: nothing recorded" if card["dry_run"] else status
