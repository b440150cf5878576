"""One run as one HTML page that needs nothing else: no script, no address, light and dark."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ..model.events import InputRecord
from .comparison import thinned
from .curves import curve_svg
from .details import RunDetails
from .page import diff_html, table_html
from .sanitise import table_of
from .wording import count, measured, moment, plain, seconds, size, value

__all__ = ["RunContent", "image_type", "run_page"]

_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; "
    "base-uri 'none'"
)
_STYLE = """
:root { color-scheme: light dark; --fore: #1f2328; --back: #ffffff; --soft: #59636e;
  --line: #d1d9e0; --block: #f6f8fa; --good: #1a7f37; --bad: #cf222e; --other: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --fore: #e6edf3; --back: #0d1117; --soft: #9198a1;
  --line: #3d444d; --block: #151b23; --good: #3fb950; --bad: #f85149; --other: #d29922; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 20px 48px; max-width: 62rem; color: var(--fore);
  background: var(--back); font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 1.1rem; margin: 28px 0 8px; padding-bottom: 4px;
  border-bottom: 1px solid var(--line); }
.status { font-weight: 600; } .FINISHED { color: var(--good); } .FAILED { color: var(--bad); }
.KILLED, .RUNNING { color: var(--other); }
.soft, footer, figcaption { color: var(--soft); }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: 2px 20px;
  margin: 12px 0; }
dt { color: var(--soft); } dd { margin: 0; }
pre { background: var(--block) !important; border: 1px solid var(--line); border-radius: 6px;
  padding: 10px 12px; overflow: auto; max-height: 40rem; margin: 6px 0;
  font: 13px/1.45 ui-monospace, monospace; white-space: pre; }
pre.source { counter-reset: line; } pre.source span { display: block; min-height: 1.45em; }
pre.source span::before { counter-increment: line; content: counter(line); color: var(--soft);
  display: inline-block; width: 3em; margin-right: 1.2em; text-align: right; user-select: none; }
table { border-collapse: collapse; } .shown { overflow-x: auto; }
section > div > table th, section > div > table td { border-bottom: 1px solid var(--line);
  padding: 4px 16px 4px 0 !important; text-align: left; vertical-align: top; }
.shown table th, .shown table td { border: 1px solid var(--line) !important;
  padding: 3px 8px !important; }
.curves { display: flex; flex-wrap: wrap; gap: 16px; }
figure { margin: 8px 0 16px; } figure img { max-width: 100%; background: #fff;
  border: 1px solid var(--line); border-radius: 6px; }
summary { cursor: pointer; color: var(--soft); }
footer { margin-top: 40px; font-size: .85rem; }
@media print { pre { max-height: none; white-space: pre-wrap; } }
"""


@dataclass(frozen=True, slots=True)
class RunContent:
    """What the page shows beside the record: the contents of the run's files by name.

    ``left_out`` says in a sentence why a file is not shown.
    """

    files: Mapping[str, bytes]
    left_out: Mapping[str, str]


def run_page(details: RunDetails, content: RunContent, *, version: str, exported: float) -> str:
    """The page; ``details`` and the texts in ``content`` are redacted already."""
    record, summary = details.record, details.summary
    head = (
        f"<h1>{escape(details.name)}</h1>"
        f'<div><span class="status {escape(_word(summary.status))}">{escape(summary.status)}</span>'
        f' <span class="soft">{escape(moment(summary.started))}'
        + (
            ""
            if summary.ended is None
            else f", took {escape(seconds(max(0.0, summary.ended - summary.started)))}"
        )
        + "</span></div>"
    )
    parts = [
        head,
        _facts(details),
        _text_section("Note", summary.note),
        _error(details, content),
        _table("Metrics", ("metric", "value"), _values(record.metrics)),
        _curves(record.series),
        _table("Parameters", ("parameter", "value"), _values(record.params)),
        _table("Hyperparameters", ("parameter", "value"), _values(record.hyperparameters)),
        _source(record.source),
        _table(
            "Data",
            ("input", "kind", "shape", "size", "source", "digest"),
            map(_input, record.inputs),
        ),
        _table(
            "Models",
            ("model", "class", "kind", "size", ""),
            (
                (
                    m.name,
                    m.class_name,
                    m.flavor,
                    size(m.size) if m.size else "",
                    m.reason or m.consent or "",
                )
                for m in record.models
            ),
        ),
        *_figures(details, content),
        *_tables(details, content),
        *_texts(details, content, "output", "Output"),
        *_diffs(details, content),
        _table(
            "Imported modules of the project",
            ("file", "BLAKE3"),
            ((name, mark[:16]) for name, mark in sorted(record.modules.items())),
        ),
        _table("Seeds", ("what", "seed"), _values(record.seeds)),
        _table(
            "Resources",
            ("", ""),
            (measured(name, number) for name, number in record.resources.items()),
        ),
        _environment(details),
        _other_files(details),
        _left_out(details, content),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(details.name)}</title><style>{_STYLE}</style></head><body><main>"
        + "\n".join(part for part in parts if part)
        + f"</main><footer>Run <code>{escape(details.run_id)}</code>, exported "
        f"{escape(moment(exported))} by jupyter_mlops {escape(version)}. Secrets were replaced as "
        "far as they were recognised.</footer></body></html>\n"
    )


def _facts(details: RunDetails) -> str:
    record, summary = details.record, details.summary
    dirty = {True: "with uncommitted changes", False: "clean", None: ""}[record.git_dirty]
    git = " ".join(part for part in (record.git_commit, record.git_branch, dirty) if part)
    facts = {
        "Run": details.run_id,
        "MLflow's id": summary.mlflow_run_id,
        "Notebook": summary.notebook,
        "Pipeline": summary.pipeline,
        "Experiment": summary.experiment,
        "Ended": None if summary.ended is None else moment(summary.ended),
        "By": record.tags.get("mlflow.user"),
        "Git": git,
        "Registered": summary.registered,
    }
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(fact))}</dd>"
        for name, fact in facts.items()
        if fact
    )
    return f"<dl>{rows}</dl>"


def _error(details: RunDetails, content: RunContent) -> str:
    error = details.record.error
    parts = []
    if error:
        parts.append(
            f"<p><strong>{escape(error.get('ename', 'Error'))}</strong>: "
            f"{escape(plain(error.get('evalue', '')))}</p>"
        )
    for item in details.files("traceback"):
        data = content.files.get(item.name)
        if data is not None:
            parts.append(f"<pre>{escape(plain(_decode(data)))}</pre>")
    return _section("Error", "".join(parts)) if parts else ""


def _source(source: str | None) -> str:
    if not source:
        return ""
    lines = "".join(f"<span>{escape(line)}</span>" for line in source.splitlines())
    return _section("Source", f'<pre class="source">{lines}</pre>')


def _curves(series: Mapping[str, list[list[float]]]) -> str:
    drawn = [
        curve_svg(name, [(name, thinned(points))])
        for name, points in series.items()
        if len(points) > 1
    ]
    return _section("Curves", f'<div class="curves">{"".join(drawn)}</div>') if drawn else ""


def _figures(details: RunDetails, content: RunContent) -> Iterator[str]:
    shown = []
    for item in details.files("figure"):
        data = content.files.get(item.name)
        kind = None if data is None else image_type(data)
        if data is not None and kind is not None:
            code = base64.b64encode(data).decode("ascii")
            name = escape(item.name)
            shown.append(
                f'<figure><img alt="{name}" src="data:{kind};base64,{code}">'
                f"<figcaption>{name}</figcaption></figure>"
            )
    if shown:
        yield _section("Figures", "".join(shown))


def _tables(details: RunDetails, content: RunContent) -> Iterator[str]:
    shown = []
    for item in details.files("table"):
        data = content.files.get(item.name)
        if data is None:
            continue
        text = _decode(data)
        markup = table_of(text) if "<table" in text.lower() else ""
        markup = markup or f"<pre>{escape(plain(text))}</pre>"
        shown.append(f'<div class="shown">{markup}<p class="soft">{escape(item.name)}</p></div>')
    if shown:
        yield _section("Tables", "".join(shown))


def _texts(details: RunDetails, content: RunContent, kind: str, title: str) -> Iterator[str]:
    for item in details.files(kind):
        data = content.files.get(item.name)
        if data:
            # Replaced secrets change its length a little, too.
            part = item.size > 1.05 * len(data) + 200
            why = item.reason or (f"{size(len(data))} were kept" if part else "")
            cut = f'<p class="soft">Not all of {size(item.size)}: {escape(why)}</p>' if why else ""
            shown = f"<pre>{escape(plain(_decode(data)))}</pre>{cut}"
            yield _section(f"{title}: {item.name}", shown)


def _diffs(details: RunDetails, content: RunContent) -> Iterator[str]:
    for item in details.files("code"):
        data = content.files.get(item.name)
        if data:
            yield _section(f"Uncommitted changes: {item.name}", diff_html(_decode(data)))


def _environment(details: RunDetails) -> str:
    known = details.environment
    if known is None:
        return ""
    facts = {"python": known.python, "platform": known.platform} | known.hardware
    rows = [
        (name, size(fact) if name == "memory" and isinstance(fact, (int, float)) else value(fact))
        for name, fact in facts.items()
        if fact not in (None, [], "")
    ]
    packages = table_html(("package", "version"), sorted(known.packages.items()))
    parts = [
        table_html(("", ""), rows),
        f"<details><summary>{count(len(known.packages), 'package')}</summary>{packages}</details>",
    ]
    if known.lock:
        parts.append(
            "<details><summary>Lock: save it as requirements.txt, then "
            "<code>uv pip install -r requirements.txt</code></summary>"
            f"<pre>{escape(known.lock)}</pre></details>"
        )
    return _section("Environment", "".join(parts))


def _other_files(details: RunDetails) -> str:
    return _table(
        "Files",
        ("file", "kind", "size"),
        ((item.name, item.kind, size(item.size)) for item in details.files("file", "notebook")),
    )


def _left_out(details: RunDetails, content: RunContent) -> str:
    rows = [*details.record.left_out.items(), *content.left_out.items()]
    rows += [("", text) for text in details.record.warnings]
    if not details.complete:
        rows.append(("", details.problem or "Only what MLflow keeps of this run is known."))
    return _table("Not captured, or not shown", ("what", "why"), rows)


def _text_section(title: str, text: str | None) -> str:
    return _section(title, f"<pre>{escape(text)}</pre>") if text else ""


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    found = list(rows)
    return _section(title, table_html(columns, found)) if found else ""


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _values(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, item in values.items():
        yield name, value(item, 2000)


def _input(item: InputRecord) -> tuple[str, ...]:
    shape = ""
    if item.rows is not None:
        shape = count(item.rows, "row")
        shape += "" if item.columns is None else f", {count(item.columns, 'column')}"
    return (
        item.name,
        item.kind,
        shape,
        size(item.size) if item.size else "",
        item.source or "",
        " ".join(filter(None, (item.digest, item.snapshot)))
        or f"none: {item.reason or 'not taken'}",
    )


def image_type(data: bytes) -> str | None:
    """The type that the first bytes say; only what a browser draws without running anything.

    An SVG as an image runs no scripts and loads nothing (SVG 2, section 2.7.1).
    """
    for start, kind in (
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
    ):
        if data.startswith(start):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "image/svg+xml" if b"<svg" in data[:2000] else None


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z_-]", "", text)
