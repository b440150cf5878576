"""SARIF 2.1.0 (OASIS Standard, 2020): what code scanners hand to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from .._version import version
from ..dataflow.findings import RULES, SEVERITIES, Finding, Place, describe, title
from .service import Checked

__all__ = ["SCHEMA", "to_sarif"]

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def to_sarif(checked: Sequence[Checked]) -> dict[str, Any]:
    """One log with one run; lines are those of the notebook's file.

    The cell (position from 0, nbformat's id) and the line in it are in ``properties`` of each
    location, and the cell is its logical location.
    """
    driver = {
        "name": "jupyter-mlops",
        "version": version(),
        "informationUri": "https://github.com/jupyter-mlops/jupyter-mlops",
        "rules": [_rule(rule) for rule in RULES],
    }
    results = [_result(notebook, finding) for notebook in checked for finding in notebook.findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: str) -> dict[str, Any]:
    page = describe(rule)
    return {
        "id": rule,
        "shortDescription": {"text": title(rule)},
        "fullDescription": {"text": page.partition("\n")[0]},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": SEVERITIES[rule]},
    }


def _result(notebook: Checked, finding: Finding) -> dict[str, Any]:
    label = notebook.label(finding)
    text = f"{label}, line {finding.line}: {finding.message}. {finding.reason} Fix: {finding.fix}"
    found: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": RULES.index(finding.rule),
        "level": finding.severity,
        "message": {"text": text},
        "locations": [
            _location(notebook, finding.cell, finding.cell_id, finding.line, finding.column)
        ],
    }
    related = [_related(notebook, place) for place in finding.related if place.cell is not None]
    if related:
        found["relatedLocations"] = [r | {"id": i} for i, r in enumerate(related, 1)]
    return found


def _related(notebook: Checked, place: Place) -> dict[str, Any]:
    found = _location(notebook, place.cell or 0, place.cell_id, 1, 1)
    return found | {"message": {"text": place.what}}


def _location(
    notebook: Checked, cell: int, cell_id: str | None, line: int, column: int
) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(notebook.path.replace("\\", "/"))},
            "region": {"startLine": notebook.lines.line(cell, line)},
        },
        "logicalLocations": [{"name": f"cell {cell + 1}", "kind": "element"}],
        "properties": {"cell": cell, "cellId": cell_id, "line": line, "column": column},
    }
