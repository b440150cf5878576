"""JUnit XML: a suite for each step, a case for each cell.

The form is the one that CI systems read in common: Jenkins' ``junit-10.xsd``, which GitHub's and
GitLab's readers take as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from .report import CellReport, RunReport, StepReport

__all__ = ["junit_xml"]

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FAILED = ("failed", "died", "timed out", "cancelled")
_LEFT = ("skipped", "not run", "running")


def junit_xml(runs: Sequence[RunReport]) -> str:
    """The runs as JUnit XML: times in seconds, paths relative to the project's root."""
    suites = [_suite(run, step) for run in runs for step in run.steps]
    suites += [suite for run in runs for suite in _verdicts(run)]
    total = [sum(counts) for counts in zip(*(counts for counts, _ in suites), strict=True)]
    tests, failures, _ = total or (0, 0, 0)
    seconds = sum(run.seconds for run in runs)
    head = (
        f'<testsuites name="jupyter-mlops" tests="{tests}" failures="{failures}" errors="0" '
        f'time="{seconds:.3f}">'
    )
    body = [text for _, text in suites]
    return "\n".join(['<?xml version="1.0" encoding="utf-8"?>', head, *body, "</testsuites>", ""])


def _suite(run: RunReport, step: StepReport) -> tuple[tuple[int, int, int], str]:
    name = step.name if run.kind == "notebook" else f"{run.name}.{step.name}"
    cases: list[str] = []
    failures = skipped = 0
    for position, cell in enumerate(step.cells, start=1):
        inner = ""
        if cell.state in _FAILED:
            failures += 1
            inner = _failure(cell)
        elif cell.state in _LEFT:
            skipped += 1
            inner = f"<skipped message={_attribute(_why(cell))}/>"
        label = (
            f"In [{cell.number}] {cell.title}" if cell.number else f"cell {position} {cell.title}"
        )
        cases.append(_case(name, label, cell.seconds, inner))
    if step.status == "failed" and not failures:
        # The kernel did not start, or what the step should have written is not there.
        failures += 1
        error = step.error or {}
        inner = _problem(
            str(error.get("ename") or "Error"),
            str(error.get("evalue") or "the step failed"),
            str(error.get("traceback") or error.get("output") or ""),
        )
        cases.append(_case(name, "the step", step.seconds, inner))
    elif not step.cells:
        left = step.status in ("skipped", "cancelled")
        skipped += left
        inner = f"<skipped message={_attribute(f'the step was {step.status}')}/>" if left else ""
        cases.append(_case(name, "the step", step.seconds, inner))
    return (len(cases), failures, skipped), _render(
        name, cases, failures, skipped, step.seconds, run.started, step.notebook
    )


def _verdicts(run: RunReport) -> list[tuple[tuple[int, int, int], str]]:
    """Gates and the comparison with the proof are tests, too."""
    found = []
    if run.proof is not None:
        verdict = str(run.proof.get("verdict"))
        reasons = "\n".join(map(str, run.proof.get("reasons", ())))
        inner = ""
        if verdict == "differs":
            inner = _problem("ReplayDiffers", reasons.partition("\n")[0], reasons)
        elif verdict == "unproven":
            inner = f"<skipped message={_attribute(reasons or 'nothing could be compared')}/>"
        counts = (1, int(verdict == "differs"), int(verdict == "unproven"))
        case = _case(f"{run.name}.proof", "equals its proof", 0.0, inner)
        text = _render(f"{run.name}.proof", [case], counts[1], counts[2], 0.0, run.started)
        found.append((counts, text))
    if run.gates:
        cases = []
        for gate in run.gates:
            message = str(gate.get("message", ""))
            inner = "" if gate["passed"] else _problem("GateRefused", message, "")
            cases.append(_case(f"{run.name}.gates", str(gate["name"]), 0.0, inner))
        refused = sum(not gate["passed"] for gate in run.gates)
        text = _render(f"{run.name}.gates", cases, refused, 0, 0.0, run.started)
        found.append(((len(cases), refused, 0), text))
    return found


def _render(
    name: str,
    cases: Sequence[str],
    failures: int,
    skipped: int,
    seconds: float,
    started: str,
    file: str = "",
) -> str:
    moment = started.partition("+")[0].partition(".")[0]
    stamp = f" timestamp={_attribute(moment)}" if moment else ""
    where = f" file={_attribute(file)}" if file else ""
    head = (
        f'  <testsuite name={_attribute(name)} tests="{len(cases)}" failures="{failures}" '
        f'errors="0" skipped="{skipped}" time="{seconds:.3f}"{stamp}{where}>'
    )
    return "\n".join([head, *cases, "  </testsuite>"])


def _case(suite: str, name: str, seconds: float, inner: str) -> str:
    head = (
        f'    <testcase classname={_attribute(suite)} name={_attribute(name)} time="{seconds:.3f}"'
    )
    return f"{head}>{inner}</testcase>" if inner else f"{head}/>"


def _failure(cell: CellReport) -> str:
    error = cell.error or {}
    ename, evalue = str(error.get("ename") or "Error"), str(error.get("evalue") or cell.state)
    parts = [str(error.get("traceback") or ""), cell.output and f"Output:\n{cell.output}"]
    return _problem(ename, evalue, "\n\n".join(part for part in parts if part))


def _problem(kind: str, message: str, text: str) -> str:
    return (
        f"<failure type={_attribute(kind)} message={_attribute(f'{kind}: {message}')}>"
        f"{escape(_legal(text))}</failure>"
    )


def _why(cell: CellReport) -> str:
    return "tagged skip-execution" if cell.state == "skipped" else "not run"


def _attribute(text: str) -> str:
    return quoteattr(" ".join(_legal(text).split()))


def _legal(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
