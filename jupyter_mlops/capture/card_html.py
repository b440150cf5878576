"""The run card as HTML that needs nothing but itself: no script, no style sheet, no image.

It takes its colours from what surrounds it, and so reads in light and dark, in Notebook 7, in an
exported page and in a notebook that is mailed.  A dozen lines are always there; the rest is behind
a ``<details>``.  Everything from the notebook is escaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from ..model.events import BEING_KEPT
from .card_text import status_words
from .card_values import one_of, show_change, show_count, show_seconds, show_size, show_value
from .sparkline import sparkline

__all__ = ["render_html"]

_SHOWN = 12  # Values shown at once; the rest is counted.
_LINES = 3  # Models and warnings shown at once.
_FOLDED = 100  # Values, inputs and files behind the fold.
_GREEN, _RED, _AMBER, _GREY = "#1a8f45", "#d6493f", "#b7791f", "#808080"  # On white and on black.
_MARKS = {"FINISHED": _GREEN, "FAILED": _RED, "KILLED": _AMBER, "RUNNING": "#2f7fd6"}
_FAINT = "opacity:.75"
# Pages give code a background, which makes a card busy.
_CODE = '<code style="background:none;padding:0;color:inherit">'


def render_html(card: Mapping[str, Any]) -> str:
    """A self-contained fragment; everything from the notebook is escaped."""
    rows = [
        _metrics(card),
        _pairs("parameters", card["params"], card, _changed_only(card)),
        *_models(card),
        _error(card),
        *_warnings(card),
    ]
    if card["first"] and not card["dry_run"]:
        rows.append(_row("project", f"{_CODE}{escape(card['project'])}</code>"))
    rows.append(_fold(card))
    return (
        '<div style="border:1px solid rgba(128,128,128,.4);border-radius:4px;padding:6px 10px;'
        'margin:4px 0;font-size:90%;line-height:1.5;color:inherit;max-width:60em">'
        f"<div>{_head(card)}</div>{''.join(rows)}</div>"
    )


def _head(card: Mapping[str, Any]) -> str:
    mark = _MARKS.get(card["status"], _GREY)
    word = "for" if card.get("live") else "in"
    return (
        f'<span style="color:{mark}" aria-hidden="true">&#9679;</span> '
        f"<strong>{escape(card['name'])}</strong> "
        f'<span style="{_FAINT}">{escape(status_words(card))} {word} '
        f"{show_seconds(card['duration'])}"
        + (f" &middot; {escape(card['experiment'])}" if card["experiment"] else "")
        + ("" if card["dry_run"] else f" &middot; {_CODE}{escape(card['run_id'][:10])}</code>")
        + "</span>"
    )


def _metrics(card: Mapping[str, Any]) -> str:
    metrics, deltas, series = card["metrics"], card.get("deltas", {}), card.get("series", {})
    if not metrics:
        return ""
    names = list(metrics)
    shown = []
    for name in names[:_SHOWN]:
        value = escape(show_value(metrics[name]))
        text = f"{_faint(escape(one_of(name)))} <strong>{value}</strong>"
        if name in deltas:
            text += " " + _delta(deltas[name])
        course = series.get(name)
        if course:
            title = f"{name} over {show_count(course['count'], 'step')}"
            text += " " + sparkline(course["points"], title)
        shown.append(_nowrap(text))
    shown += _rest(len(names) - _SHOWN + card.get("cut", {}).get("metrics", 0))
    baseline = card.get("baseline")
    if baseline and any(name in deltas for name in names[:_SHOWN]):
        shown.append(_faint(f"against {escape(baseline['label'])}"))
    return _row("metrics", " ".join(shown))


def _delta(delta: Mapping[str, Any]) -> str:
    """A change: the arrow says which way, the colour and the tooltip whether that is good."""
    change, better = delta["change"], delta["better"]
    if better is None:
        return _faint(f"{show_change(change)}")
    arrow = "&#9650;" if change > 0 else "&#9660;"
    word = "better" if better else "worse"
    return (
        f'<span style="color:{_GREEN if better else _RED}" title="{word}; it was '
        f'{escape(show_value(delta["before"]))}">{arrow}&nbsp;{show_change(change)}</span>'
    )


def _changed_only(card: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters that are others than the baseline's."""
    changed = card.get("changed", {})
    return {k: v for k, v in card.get("hyperparameters", {}).items() if k in changed}


def _pairs(
    label: str, values: Mapping[str, Any], card: Mapping[str, Any], more: Mapping[str, Any]
) -> str:
    changed = card.get("changed", {})
    everything = {**values, **more}
    if not everything:
        return ""
    shown = [
        _nowrap(
            f"{_faint(escape(one_of(name)))} {escape(show_value(value))}"
            + (
                f' <span style="{_FAINT}">(was {escape(one_of(show_value(changed[name]), 30))})'
                "</span>"
                if name in changed
                else ""
            )
        )
        for name, value in list(everything.items())[:_SHOWN]
    ]
    shown += _rest(len(everything) - _SHOWN + card.get("cut", {}).get("params", 0))
    return _row(label, " ".join(shown))


def _models(card: Mapping[str, Any]) -> Iterable[str]:
    for model in card["models"][:_LINES]:
        what = f"{_CODE}{escape(model['name'])}</code> {escape(model['class_name'])}"
        if not model["kept"]:
            what += " " + _faint(f"not kept: {escape(model['reason'] or '')}")
        else:
            if model.get("size"):
                what += " " + _faint(f"{show_size(model['size'])}")
            if card["register"] and model["name"] == card["registered_model"]:
                what += f" &rarr; a version of <strong>{escape(card['register'])}</strong>"
        yield _row("model", what)
    rest = len(card["models"]) - _LINES
    if rest > 0:
        yield _row("", _faint(f"and {show_count(rest, 'model')} more"))


def _error(card: Mapping[str, Any]) -> str:
    if not card["error"]:
        return ""
    text = f"{card['error'].get('ename', '')}: {card['error'].get('evalue', '')}"
    return _row("error", escape(text[:300]))


def _warnings(card: Mapping[str, Any]) -> Iterable[str]:
    for text in card["warnings"][:_LINES]:
        yield _row("note", escape(text))
    rest = len(card["warnings"]) - _LINES
    if rest > 0:
        yield _row("", _faint(f"and {show_count(rest, 'note')} more"))


def _fold(card: Mapping[str, Any]) -> str:
    """What is there for those who ask; its head says how much."""
    rows = [
        *_inputs(card),
        _all("hyperparameters", card.get("hyperparameters", {}), "hyperparameters", card),
        *_files(card),
        _all("seeds", card.get("seeds", {}), "seeds", card),
        _environment(card),
        _git(card, whole=True),
        _resources(card),
        *(
            _row("left out", f"{escape(what)}: {escape(why)}")
            for what, why in list(card.get("left_out", {}).items())[:_FOLDED]
        ),
        *(_row("note", escape(text)) for text in card["warnings"][_LINES:_FOLDED]),
        _mlflow(card),
    ]
    content = "".join(rows)
    if not content:
        return ""
    head = " &middot; ".join(_summary(card)) or "more"
    return (
        f'<details style="margin-top:2px"><summary style="cursor:pointer;{_FAINT}">{head}'
        f"</summary>{content}</details>"
    )


def _summary(card: Mapping[str, Any]) -> Iterable[str]:
    cut = card.get("cut", {})
    inputs = len(card.get("inputs", ())) + cut.get("inputs", 0)
    if inputs:
        yield show_count(inputs, "input")
    tuned = len(card.get("hyperparameters", {})) + cut.get("hyperparameters", 0)
    if tuned:
        yield show_count(tuned, "hyperparameter")
    kinds = Counter(item["kind"] for item in card.get("files", ()) if item["kept"])
    for kind in ("figure", "table"):
        if kinds[kind]:
            yield show_count(kinds[kind], kind)
    for kind in ("output", "traceback"):
        if kinds[kind]:
            yield kind
    if card.get("bytes_kept"):
        yield f"{show_size(card['bytes_kept'])} kept"
    if card.get("data_added"):
        yield f"{show_size(card['data_added'])} of data added"
    git = _git(card, whole=False)
    if git:
        yield git
    environment = card.get("environment")
    if environment:
        yield f"Python {escape(environment['python'])}"
    if card.get("redacted"):
        yield f"{card['redacted']} redacted"
    if card.get("left_out"):
        yield f"{len(card['left_out']) + cut.get('left_out', 0)} left out"


def _inputs(card: Mapping[str, Any]) -> Iterable[str]:
    for item in card.get("inputs", ())[:_FOLDED]:
        text = f"{_CODE}{escape(item['name'])}</code> {escape(item['kind'])}"
        if item["rows"] is not None:
            across = "" if item["columns"] is None else f" &times; {item['columns']:,}"
            text += f" {item['rows']:,}{across}"
        elif item["size"]:
            text += f" {show_size(item['size'])}"
        if item["digest"]:
            text += f" {_CODE}{escape(item['digest'])}</code>"
        if item["source"] and item["source"] != item["name"]:
            text += " " + _faint(f"from {escape(item['source'])}")
        if item.get("snapshot"):
            text += f" {_CODE}{escape(item['snapshot'])}</code>"
            new = f"{show_size(item['added'])} added" if item.get("added") else "nothing added"
            text += " " + _faint(new)
        if item["reason"]:
            what = "not kept" if item["digest"] else "no digest"
            why = item["reason"].removeprefix(f"{what}: ")
            why = why if why == BEING_KEPT else f"{what}: {why}"
            text += " " + _faint(escape(why))
        yield _row("input", text)
    yield from _cut("inputs", card)


def _files(card: Mapping[str, Any]) -> Iterable[str]:
    for item in card.get("files", ())[:_FOLDED]:
        text = f"{_CODE}{escape(item['name'])}</code> {show_size(item['size'])}"
        if item["reason"]:
            text += " " + _faint(f"{escape(item['reason'])}")
        yield _row(escape(item["kind"]), text)
    yield from _cut("files", card)


def _cut(name: str, card: Mapping[str, Any]) -> Iterable[str]:
    rest = max(0, len(card.get(name, ())) - _FOLDED) + card.get("cut", {}).get(name, 0)
    if rest:
        yield _row("", _faint(f"and {rest:,} more"))


def _all(label: str, values: Mapping[str, Any], name: str, card: Mapping[str, Any]) -> str:
    if not values:
        return ""
    shown = [
        _nowrap(f"{_faint(escape(one_of(key)))} {escape(show_value(value))}")
        for key, value in list(values.items())[:_FOLDED]
    ]
    shown += _rest(max(0, len(values) - _FOLDED) + card.get("cut", {}).get(name, 0))
    return _row(label, " ".join(shown))


def _environment(card: Mapping[str, Any]) -> str:
    found = card.get("environment")
    if not found:
        return ""
    text = (
        f"Python {escape(found['python'])}, {show_count(found['packages'], 'package')}, "
        f"{escape(found['platform'])}"
    )
    if card.get("modules"):
        text += f", {show_count(card['modules'], 'module')} of the project"
    return _row("environment", text)


def _git(card: Mapping[str, Any], *, whole: bool) -> str:
    found = card.get("git")
    if not found:
        return ""
    branch = f"{escape(found['branch'])} " if found["branch"] else ""
    if not whole:
        return f"{branch}{_CODE}{escape(found['commit'][:7])}</code>{'*' if found['dirty'] else ''}"
    changes = ", with changes that are not committed" if found["dirty"] else ""
    return _row("git", f"{branch}{_CODE}{escape(found['commit'])}</code>{changes}")


def _resources(card: Mapping[str, Any]) -> str:
    found = card.get("resources") or {}
    parts = []
    for name, value in list(found.items())[:_FOLDED]:
        if not isinstance(value, (int, float)):
            continue
        if name.endswith("_seconds"):
            parts.append(f"{escape(name[:-8].replace('_', ' '))} {show_seconds(value)}")
        elif name.endswith("_bytes"):
            parts.append(f"{escape(name[:-6].replace('_', ' '))} {show_size(value)}")
        else:
            parts.append(f"{escape(name.replace('_', ' '))} {show_value(value)}")
    return _row("resources", ", ".join(parts)) if parts else ""


def _mlflow(card: Mapping[str, Any]) -> str:
    found = card.get("mlflow")
    if not found or card["dry_run"]:
        return ""
    uri = str(found.get("uri", ""))
    if uri.startswith(("http://", "https://")):
        run = found.get("run")
        target = f"{uri.rstrip('/')}/#/runs/{run}" if run else uri
        return _row(
            "MLflow",
            f'<a href="{escape(target)}" target="_blank" rel="noopener noreferrer">'
            f"{escape(target)}</a>",
        )
    return _row("MLflow", f"{_CODE}{escape(str(found.get('command', '')))}</code>")


def _faint(content: str) -> str:
    return f'<span style="{_FAINT}">{content}</span>'


def _rest(count: int) -> list[str]:
    return [_faint(f"and {count} more")] if count > 0 else []


def _nowrap(content: str) -> str:
    return f'<span style="white-space:nowrap;margin-right:1em">{content}</span>'


def _row(label: str, content: str) -> str:
    return (
        '<div style="display:flex;gap:8px"><span style="opacity:.6;min-width:9.2em;flex:none">'
        f'{label}</span><span style="overflow-wrap:anywhere;min-width:0">{content}</span></div>'
    )
