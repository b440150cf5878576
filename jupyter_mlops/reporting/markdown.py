"""The pull-request comment and the job summary, as the Markdown of code hosts."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..model.durations import duration
from .comparing import code_changes, data_changes, metric_changes
from .report import ImageReport, RunReport, StepReport
from .text import bytes_text, cell_text, code, code_block, number, signed

__all__ = ["COMMENT_LIMIT", "Beside", "comment", "job_summary", "marker"]

COMMENT_LIMIT = 65_536  # characters of a comment on GitHub; GitLab takes more
_SUMMARY_LIMIT = 1_000_000  # bytes of a job summary on GitHub are 1 MiB
_DIFF = 12_000  # characters of one diff
_TRACEBACK = 4_000
_PLOTS = 12
_SIGNS = {
    "better": "✔ better",
    "worse": "✘ worse",
    "same": "= same",
    "within tolerance": "≈ within tolerance",
    "new": "new",
    "gone": "✘ gone",
}


@dataclass(frozen=True, slots=True)
class Beside:
    """What runs are shown beside: the base branch's, by pipeline's name.

    ``label`` names the base (``main``); ``image`` gives the address of a plot, or ``None`` where it
    has none; ``artifacts`` says where the files are.  ``details`` are texts on data that a report
    alone cannot tell, by pipeline.
    """

    bases: Mapping[str, RunReport] = field(default_factory=dict)
    label: str = "base"
    image: Callable[[ImageReport], str | None] = lambda image: None
    artifacts: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


def marker(name: str) -> str:
    """The first line of a comment: the next run finds it by that and updates it."""
    return f"<!-- jupyter-mlops:{re.sub(r'[^A-Za-z0-9._]+', '-', name)} -->"


def comment(
    runs: Sequence[RunReport], beside: Beside, name: str, limit: int = COMMENT_LIMIT
) -> str:
    """A pull-request comment of at most ``limit`` characters: what does not fit is left out last
    section first, and the end says so."""
    blocks = [b for run in _failed_first(runs) for b in _run(run, beside, headline="###")]
    end = _end(beside)
    return _fitted([marker(name), *blocks], end, limit)


def job_summary(runs: Sequence[RunReport], beside: Beside) -> str:
    """The summary page of a job: the same with every step's cells; what failed comes first."""
    blocks: list[str] = []
    if len(runs) > 1:
        rows = [
            f"| {_sign(run)} | {cell_text(run.name)} | {duration(run.seconds)} | {_state(run)} |"
            for run in _failed_first(runs)
        ]
        blocks.append("\n".join(["| | pipeline | time | |", "|---|---|--:|---|", *rows]))
    for run in _failed_first(runs):
        blocks += _run(run, beside, headline="##", cells=True)
    return _fitted(blocks, _end(beside), _SUMMARY_LIMIT // 4)


def _failed_first(runs: Sequence[RunReport]) -> list[RunReport]:
    return sorted(runs, key=lambda run: run.good)


def _fitted(blocks: list[str], end: str, limit: int) -> str:
    note = "*More did not fit here; the whole report has it.*"
    room = limit - len(end) - len(note) - 8
    kept: list[str] = []
    used = 0
    cut = False
    for block in blocks:
        if used + len(block) + 2 > room:
            cut = True
            continue
        kept.append(block)
        used += len(block) + 2
    return "\n\n".join([*kept, *([note] if cut else []), *([end] if end else [])]) + "\n"


def _end(beside: Beside) -> str:
    return f"<sub>{beside.artifacts}</sub>" if beside.artifacts else ""


def _run(run: RunReport, beside: Beside, *, headline: str, cells: bool = False) -> list[str]:
    base = beside.bases.get(run.name)
    blocks = [f"{headline} {_sign(run)} {cell_text(run.name)} {_state(run)}"]
    blocks += _failures(run)
    if run.proof is not None:
        blocks.append(_proof(run.proof))
    blocks += _metrics(run, base, beside.label)
    blocks += _gates(run)
    blocks += [f"> **Warning:** {cell_text(warning)}" for warning in run.warnings]
    blocks += _plots(run, beside)
    if base is not None:
        blocks += _code(base, run)
        blocks += _data(base, run, beside.details.get(run.name, ""))
    blocks.append(_steps(run, cells))
    if run.params or run.command:
        blocks.append(_again(run))
    return blocks


def _sign(run: RunReport) -> str:
    return "✔" if run.good else "✘"


def _state(run: RunReport) -> str:
    took = duration(run.seconds)
    if run.status == "KILLED":
        return f"was interrupted after {took}"
    if run.exit_code == 1:
        return f"failed after {took}"
    refused = [gate for gate in run.gates if not gate["passed"]]
    if run.proof is not None and run.proof.get("verdict") == "differs":
        return f"ran in {took}, and differs from its proof"
    if refused:
        return f"ran in {took}; {len(refused)} of {len(run.gates)} gates said no"
    if run.exit_code == 5:
        return f"ran in {took}, and was not delivered"
    return f"finished in {took}"


def _failures(run: RunReport) -> list[str]:
    blocks = []
    for step in run.steps:
        if step.status != "failed":
            continue
        error = step.error or {}
        where = code(step.notebook)
        if error.get("cell"):
            where += f", cell <b>[{int(error['cell'])}]</b>"
            where += f", line {int(error['lineno'])}" if error.get("lineno") else ""
        lines = [f"**Step {cell_text(step.name)}**: {where}"]
        shown = f"{error.get('ename', 'Error')}: {error.get('evalue', '')}".strip()
        if error.get("line"):
            shown = f"----> {error['line']}\n\n{shown}"
        lines.append(code_block(shown))
        traceback = _tail(str(error.get("traceback") or ""), _TRACEBACK)
        output = _tail(str(error.get("output") or ""), _TRACEBACK)
        if traceback:
            lines.append(_details("Traceback", code_block(traceback)))
        if output:
            lines.append(_details("The last that it printed", code_block(output)))
        blocks.append("\n\n".join(lines))
    if not blocks and run.error is not None and run.exit_code == 1:
        error = run.error
        blocks.append(code_block(f"{error.get('ename', 'Error')}: {error.get('evalue', '')}"))
    return blocks


def _proof(proof: Mapping[str, object]) -> str:
    verdict = str(proof.get("verdict"))
    reasons = [str(reason) for reason in proof.get("reasons") or ()]  # type: ignore[attr-defined]
    words = {
        "equal": "✔ **Equal** to its proof",
        "within_tolerance": "✔ **Within tolerance** of its proof",
        "differs": "✘ **Differs** from its proof",
        "unproven": "○ **Not proven**",
    }
    head = words.get(verdict, cell_text(verdict))
    return "\n".join([head, *(["", *(f"- {cell_text(r)}" for r in reasons)] if reasons else [])])


def _metrics(run: RunReport, base: RunReport | None, label: str) -> list[str]:
    changes = metric_changes(base, run)
    if not changes:
        return []
    if base is None:
        rows = [f"| {cell_text(c.name)} | {number(c.head)}{_width(c.tolerance)} |" for c in changes]
        return ["\n".join(["| metric | value |", "|---|--:|", *rows])]
    rows = []
    for c in changes:
        known = c.base is not None and c.head is not None
        difference = signed(c.head - c.base) if known else "–"  # type: ignore[operator]
        same = c.verdict == "same"
        head = f"**{number(c.head)}**" if c.verdict in ("better", "worse") else number(c.head)
        rows.append(
            f"| {cell_text(c.name)} | {number(c.base)} | {head} | "
            f"{'' if same else difference}{'' if same else _width(c.tolerance)} | "
            f"{_SIGNS[c.verdict]} |"
        )
    head_row = f"| metric | {cell_text(label)} | this change | difference | |"
    table = "\n".join([head_row, "|---|--:|--:|--:|---|", *rows])
    sources = {c.learned for c in changes if c.tolerance}
    if not sources:
        return [table]
    how = " and ".join(
        "the replays in proof.json" if source == "proof" else "repeated runs"
        for source in sorted(sources)
    )
    note = f"<sub>±: what two runs of the same code differ by with 95 %, learned from {how}.</sub>"
    return [f"{table}\n\n{note}"]


def _width(value: float) -> str:
    return f" ± {value:.2g}" if value else ""


def _gates(run: RunReport) -> list[str]:
    if not run.gates:
        return []
    rows = [
        f"| {'✔' if gate['passed'] else '✘'} | {cell_text(str(gate['name']))} "
        f"| {cell_text(str(gate.get('message', '')))} |"
        for gate in run.gates
    ]
    return ["\n".join(["| | gate | |", "|---|---|---|", *rows])]


def _plots(run: RunReport, beside: Beside) -> list[str]:
    if not run.images:
        return []
    shown: list[str] = []
    for image in run.images[:_PLOTS]:
        address = beside.image(image)
        if address is not None:
            about = html.escape(_line(f"{image.step} [{image.cell}] {image.title}"))
            source = html.escape(_line(address))
            shown.append(f'<img src="{source}" alt="{about}" width="360">')
    left = len(run.images) - len(shown)
    if not shown:
        names = ", ".join(code(image.file) for image in run.images[:_PLOTS])
        return [_details(f"{_count(len(run.images), 'plot')} in the report", names)]
    # On lines of their own without an empty one between: side by side where there is room.
    text = "\n".join(shown)
    return [f"{text}\n\n<sub>{left} more in the report.</sub>" if left else text]


def _code(base: RunReport, run: RunReport) -> list[str]:
    blocks = []
    for change in code_changes(base, run):
        cells = f"{_count(change.cells, 'cell')} changed in " if change.cells else ""
        diff = change.diff
        if len(diff) > _DIFF:
            diff = diff[:_DIFF].rpartition("\n")[0] + "\n..."
        summary = f"Code: {cells}{cell_text(change.file)}"
        blocks.append(_details(summary, code_block(diff, "diff")))
    changed = {
        name: (base.params.get(name), value)
        for name, value in run.params.items()
        if name in base.params and base.params[name] != value
    }
    if changed:
        rows = [
            f"| {code(n)} | {code(repr(a))} | {code(repr(b))} |" for n, (a, b) in changed.items()
        ]
        table = "\n".join(["| parameter | before | now |", "|---|---|---|", *rows])
        blocks.append(_details(f"Parameters: {_count(len(changed), 'value')} changed", table))
    return blocks


def _data(base: RunReport, run: RunReport, more: str) -> list[str]:
    changes = data_changes(base, run)
    if not changes:
        return []
    rows = [f"- {code(c.name)}: {cell_text('; '.join(c.facts))}" for c in changes]
    body = "\n".join(rows)
    if more:
        body += "\n\n" + code_block(_head(more, _DIFF))
    return [_details(f"Data: {_count(len(changes), 'source')} changed", body)]


def _steps(run: RunReport, cells: bool) -> str:
    rows = []
    for step in run.steps:
        ran = [cell for cell in step.cells if cell.state == "completed"]
        cpu = sum(cell.cpu for cell in step.cells)
        memory = max((cell.peak_memory for cell in step.cells), default=0)
        rows.append(
            f"| {cell_text(step.name)} | {_status(step)} | {duration(step.seconds)} | "
            f"{duration(cpu) if cpu else ''} | {bytes_text(memory) if memory else ''} | "
            f"{len(ran)}/{len(step.cells)} |"
        )
    head = "| step | | time | CPU | memory | cells |"
    parts = ["\n".join([head, "|---|---|--:|--:|--:|--:|", *rows])]
    if cells:
        parts += [_cells(step) for step in run.steps if step.cells]
    one = run.kind == "notebook"
    summary = "Cells" if one else _count(len(run.steps), "step")
    return _details(f"{summary}, {duration(run.seconds)}", "\n\n".join(parts))


def _cells(step: StepReport) -> str:
    signs = {"completed": "✔", "skipped": "○", "not run": "○"}
    rows = [
        f"| {f'[{cell.number}]' if cell.number else ''} | {signs.get(cell.state, '✘')} "
        f"| {cell_text(cell.title)} | {duration(cell.seconds) if cell.seconds else ''} |"
        for cell in step.cells
    ]
    head = f"| {cell_text(step.name)} | | | time |"
    return "\n".join([head, "|---|---|---|--:|", *rows])


def _status(step: StepReport) -> str:
    tries = f", attempt {step.attempts}" if step.attempts > 1 else ""
    good = step.status in ("finished", "cached", "resumed")
    sign = "✔" if good else "✘" if step.status == "failed" else "○"
    return f"{sign} {cell_text(step.status)}{tries}"


def _again(run: RunReport) -> str:
    parts = []
    if run.params:
        rows = [f"| {code(name)} | {code(repr(value))} |" for name, value in run.params.items()]
        parts.append("\n".join(["| parameter | value |", "|---|---|", *rows]))
    if run.command:
        lines = [run.command]
        if run.commit:
            lines.insert(0, f"git checkout {run.commit}")
        parts.append(code_block("\n".join(lines), "sh"))
    parts.append(f"Run {code(run.run_id)}, exit code {run.exit_code}")
    for version in run.versions:
        parts[-1] += f", model version {code(version)}"
    return _details("Parameters, and how to run it again", "\n\n".join(parts))


def _details(summary: str, body: str) -> str:
    """A section that opens; the empty lines make its inside Markdown again."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _line(text: str) -> str:
    return " ".join(text.split())


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _tail(text: str, limit: int) -> str:
    return text if len(text) <= limit else "...\n" + text[-limit:].partition("\n")[2]


def _head(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit].rpartition("\n")[0] + "\n..."
