"""A comparison or an explanation as sections of tables, diffs and curves: what every face draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .comparison import Comparison, Curve, Difference, InputDifference, MetricDifference, RunLabel
from .why import Explanation
from .wording import count, measured, moment, seconds, signed, size, two, value

__all__ = ["Section", "comparison_sections", "explanation_sections"]


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a page: ``columns`` and ``rows`` of a table, ``diff`` a unified diff,
    ``curves`` with the names of the runs in ``labels``, ``lines`` sentences."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    diff: str = ""
    curves: tuple[Curve, ...] = ()
    labels: tuple[str, str] = ("", "")
    lines: tuple[str, ...] = ()


def comparison_sections(comparison: Comparison) -> Iterator[Section]:
    """Yield the sections of a comparison: which runs, then only what differs."""
    a, b = names = _names(comparison.a, comparison.b)
    yield Section(
        "Runs",
        ("", "run", "status", "started", "took", "from"),
        tuple(
            (mark, f"{label.name} {label.run_id[:12]}", *_facts(label))
            for mark, label in (("A", comparison.a), ("B", comparison.b))
        ),
    )
    yield from _table(
        "Metrics", ("metric", a, b, "change", ""), (_metric(item) for item in comparison.metrics)
    )
    if comparison.curves:
        yield Section("Curves", curves=comparison.curves, labels=names)
    yield from _table("Data", ("input", "", "what"), map(_input, comparison.inputs))
    yield from _changes("Parameters", names, comparison.params)
    yield from _changes("Hyperparameters", names, comparison.hyperparameters)
    code = comparison.code
    if code.source:
        yield Section("Source", diff=code.source)
    yield from _changes("Git", names, code.git)
    for module in code.modules:
        if module.only is not None:
            where = "imported only in " + (a if module.only == "a" else b)
            yield Section(f"Module {module.name}", lines=(where,))
        else:
            known = (module.diff or "").strip()
            said = () if known else ("It changed; what exactly was not recorded.",)
            yield Section(f"Module {module.name}", diff=module.diff or "", lines=said)
    yield from _changes("Models", names, comparison.models)
    yield from _changes("Packages", names, comparison.packages)
    yield from _changes("Machine", names, comparison.environment)
    yield from _changes("Seeds", names, comparison.seeds)
    yield from _table(
        "Resources",
        ("", a, b, "change"),
        (_resource(change) for change in comparison.resources),
    )
    lines = list(_summary(comparison))
    if lines:
        yield Section("Note", lines=tuple(lines))


def explanation_sections(explanation: Explanation, *, details: bool = True) -> Iterator[Section]:
    """Yield the verdict, what changed, and (if ``details``) the comparison behind it."""
    yield Section("", lines=(explanation.verdict,))
    if explanation.reasons:
        rows = tuple(
            (str(number), reason.kind, reason.sentence)
            for number, reason in enumerate(explanation.reasons, 1)
        )
        yield Section("What changed, the likeliest cause first", ("", "kind", "change"), rows)
    if explanation.unknown:
        yield Section("Not known", lines=explanation.unknown)
    if details and explanation.comparison is not None:
        wanted = {"Curves", "Source"}
        for section in comparison_sections(explanation.comparison):
            if section.title in wanted or section.title.startswith("Module"):
                yield section


def _names(a: RunLabel, b: RunLabel) -> tuple[str, str]:
    if a.name != b.name:
        return f"A {a.name}", f"B {b.name}"
    return f"A {a.run_id[-6:]}", f"B {b.run_id[-6:]}"


def _facts(label: RunLabel) -> tuple[str, ...]:
    return (
        label.status,
        moment(label.started),
        seconds(label.duration),
        label.notebook or "",
    )


def _summary(comparison: Comparison) -> Iterator[str]:
    if comparison.same_inputs:
        yield f"The same data: {', '.join(comparison.same_inputs)}."
    if comparison.same:
        yield "Nothing that was recorded and that a result depends on differs."
    for text in comparison.unknown:
        yield f"Not known: {text}."


def _table(
    title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]
) -> Iterator[Section]:
    found = tuple(rows)
    if found:
        yield Section(title, columns, found)


def _changes(
    title: str, names: tuple[str, str], changes: tuple[Difference, ...]
) -> Iterator[Section]:
    yield from _table(
        title,
        ("", *names),
        (
            (
                change.name,
                "-" if change.only == "b" else value(change.a),
                "-" if change.only == "a" else value(change.b),
            )
            for change in changes
        ),
    )


def _metric(item: MetricDifference) -> tuple[str, ...]:
    change = signed(item.delta)
    if item.relative is not None and abs(item.relative) >= 0.0005:
        change += f" ({item.relative:+.1%})"
    verdict = {"a": "A is better", "b": "B is better"}.get(item.better or "", "")
    if item.a is not None and item.b is not None:
        shown = two(item.a, item.b)
    else:
        a, b = ("-" if number is None else value(number) for number in (item.a, item.b))
        shown = a, b
    return (item.name, *shown, change, verdict)


def _input(item: InputDifference) -> tuple[str, ...]:
    name = item.name if item.source in (None, item.name) else f"{item.name} ({item.source})"
    if item.status in ("a", "b"):
        return (name, f"only in {item.status.upper()}", _digest(item.digest_a or item.digest_b))
    if item.status == "renamed":
        return (name, "renamed", f"{item.other} in B, with the same content")
    facts = []
    if item.rows_a != item.rows_b:
        facts.append(f"{item.rows_a} -> {item.rows_b} rows")
    elif item.size_a != item.size_b:
        facts.append(f"{size(item.size_a or 0)} -> {size(item.size_b or 0)}")
    facts += [f"+ column {column}" for column in item.added]
    facts += [f"- column {column}" for column in item.removed]
    facts += [f"{column}: {old} -> {new}" for column, (old, new) in item.retyped.items()]
    facts.append(f"{_digest(item.digest_a)} -> {_digest(item.digest_b)}")
    shown = "; ".join(facts[:8]) + (
        f"; {count(len(facts) - 8, 'more change')}" if len(facts) > 8 else ""
    )
    return (name, "changed", shown)


def _digest(digest: str | None) -> str:
    return "no digest" if digest is None else digest.partition(":")[2][:12] or digest[:12]


def _resource(change: Difference) -> tuple[str, ...]:
    shown = ["-" if n is None else measured(change.name, n)[1] for n in (change.a, change.b)]
    ratio = ""
    if isinstance(change.a, (int, float)) and isinstance(change.b, (int, float)) and change.a:
        ratio = f"{(change.b - change.a) / abs(change.a):+.0%}"
    return (measured(change.name, 0)[0], *shown, ratio)
