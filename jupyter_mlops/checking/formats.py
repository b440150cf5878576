"""Findings as text for people, JSON, SARIF, and annotations of GitHub Actions."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ..dataflow.findings import ERROR, NOTE, WARNING, Finding
from .sarif import to_sarif
from .service import Checked

__all__ = ["FORMATS", "render"]


def render(checked: Sequence[Checked], format: str) -> str:
    """The findings in one of ``FORMATS``; raises ``KeyError`` for another."""
    return FORMATS[format](checked)


def _text(checked: Sequence[Checked]) -> str:
    lines: list[str] = []
    for notebook in checked:
        if notebook.skipped is not None:
            lines += [f"{notebook.path}: not checked, {notebook.skipped}", ""]
        if not notebook.findings:
            continue
        how = "its session" if notebook.session else "its execution counts"
        lines.append(f"{notebook.path} (by {how})")
        for finding in notebook.findings:
            where = f"{notebook.label(finding)}, line {finding.line}"
            lines.append(f"  {where}: {finding.rule} {finding.severity}: {finding.message}")
            lines.append(f"      {finding.reason}")
            lines.append(f"      Fix: {finding.fix}")
        lines.append("")
    return "\n".join([*lines, _summary(checked)])


def _summary(checked: Sequence[Checked]) -> str:
    counts = [
        (sum(n.count(severity) for n in checked), word)
        for severity, word in ((ERROR, "error"), (WARNING, "warning"), (NOTE, "note"))
    ]
    parts = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count]
    looked = f"{len(checked)} notebook{'' if len(checked) == 1 else 's'}"
    return f"{', '.join(parts)} in {looked}" if parts else f"Nothing found in {looked}"


def _json(checked: Sequence[Checked]) -> str:
    data: dict[str, Any] = {
        "version": 1,
        "errors": sum(n.count(ERROR) for n in checked),
        "warnings": sum(n.count(WARNING) for n in checked),
        "notes": sum(n.count(NOTE) for n in checked),
        "notebooks": [n.to_dict() for n in checked],
    }
    return json.dumps(data, indent=2)


def _sarif(checked: Sequence[Checked]) -> str:
    return json.dumps(to_sarif(checked), indent=2)


def _github(checked: Sequence[Checked]) -> str:
    """Workflow commands, each an annotation of a line of the notebook's file."""
    return "\n".join(_annotation(n, finding) for n in checked for finding in n.findings)


def _annotation(notebook: Checked, finding: Finding) -> str:
    command = "notice" if finding.severity == NOTE else finding.severity
    line = notebook.lines.line(finding.cell, finding.line)
    where = f"{notebook.label(finding)}, line {finding.line}"
    properties = f"file={_property(notebook.path)},line={line},title={_property(finding.rule)}"
    text = f"{where}: {finding.message}. {finding.reason} Fix: {finding.fix}"
    return f"::{command} {properties}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


FORMATS: dict[str, Callable[[Sequence[Checked]], str]] = {
    "text": _text,
    "json": _json,
    "sarif": _sarif,
    "github": _github,
}
