"""``%check``: the face of ``checking`` in the kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from .checking import Checked, check_executed, chosen_rules, render
from .errors import UsageError

__all__ = ["check_kernel"]


def check_kernel(recorder: Any, project: Callable[[], Any], words: Sequence[str]) -> dict[str, str]:
    """What ``%check`` shows, by MIME type: the findings of what this kernel has executed.

    Raises ``UsageError`` for words that ``%check`` does not take.
    """
    rules = _rules(words)
    notebook = recorder.tracker.notebook()
    path = notebook.path if notebook is not None and notebook.exists else None
    checked = check_executed(list(recorder.history), path, project=project(), rules=rules)
    return {"text/plain": render([checked], "text"), "text/html": _html(checked)}


def _rules(words: Sequence[str]) -> frozenset[str]:
    given: dict[str, list[str]] = {"--select": [], "--ignore": []}
    rest = list(words)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if option not in given or not (equals or rest):
            raise UsageError(
                f"%check does not take {option}", hint="It takes --select RULES and --ignore RULES."
            )
        given[option].append(value if equals else rest.pop(0))
    return chosen_rules(given["--select"], given["--ignore"])


def _html(checked: Checked) -> str:
    if not checked.findings:
        return "<p>Nothing found.</p>"
    cell = 'style="text-align:left;vertical-align:top;padding:2px 12px 2px 0"'
    rows = "".join(
        f"<tr><td {cell}>{escape(checked.label(f))}, line {f.line}</td>"
        f"<td {cell}>{f.rule}</td><td {cell}>{f.severity}</td>"
        f"<td {cell}><b>{escape(f.message)}</b><br>{escape(f.reason)}<br>"
        f"Fix: {escape(f.fix)}</td></tr>"
        for f in checked.findings
    )
    heads = "".join(f"<th {cell}>{word}</th>" for word in ("cell", "rule", "severity", "finding"))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
