"""The differences between two runs as sentences, ranked by how likely they matter.

Data first, then code, parameters, packages and machine, then seeds: the order in which a changed
result is most often explained.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .comparison import Comparison, Difference, InputDifference
from .details import RunDetails
from .wording import count, size, value

__all__ = ["Reason", "nothing_differs", "reasons"]

_PACKAGES = 5  # named one by one


@dataclass(frozen=True, slots=True)
class Reason:
    """One change: ``kind`` is ``data``, ``code``, ``parameter``, ``package``, ``machine`` or
    ``seed``; ``sentence`` says it in words."""

    kind: str
    sentence: str


def reasons(comparison: Comparison, a: RunDetails, b: RunDetails) -> Iterator[Reason]:
    """Yield what changed from ``a`` to ``b``, the likeliest cause of another result first."""
    for item in comparison.inputs:
        yield Reason("data", _input(item))
    if comparison.code.source and not _only_values(comparison):
        yield Reason("code", f"The cell's source changed: {_lines(comparison.code.source)}.")
    for module in comparison.code.modules:
        if module.only is not None:
            how = "is no longer imported" if module.only == "a" else "is imported now"
            yield Reason("code", f"{module.name} {how}.")
        else:
            lines = f": {_lines(module.diff)}" if module.diff else ""
            yield Reason("code", f"The imported module {module.name} changed{lines}.")
    for change in comparison.models:
        yield Reason("code", _change(change, f"The fitted model {change.name}"))
    for change in (*comparison.params, *comparison.hyperparameters):
        yield Reason("parameter", _change(change, f"The parameter {change.name}"))
    yield from _packages(comparison.packages, {*_needed(a), *_needed(b)})
    for change in comparison.environment:
        yield Reason("machine", _change(change, change.name.capitalize()))
    for change in comparison.seeds:
        yield Reason("seed", _change(change, f"The seed of {change.name}"))
    git = {change.name: change for change in comparison.code.git}
    if git and not comparison.code.source and not comparison.code.modules:
        commit = git.get("commit")
        if commit is not None and commit.only is None:
            yield Reason(
                "code",
                f"The git commit went from {str(commit.a)[:10]} to {str(commit.b)[:10]}, but the "
                "cell's source and the modules it imports did not change.",
            )


def nothing_differs(a: RunDetails, b: RunDetails, unknown: Sequence[str], *, equal: bool) -> str:
    """What to say of two runs between which no difference was found."""
    if unknown:
        return "Nothing that was recorded differs, but not all is known."
    if equal:
        return "Same code, data, parameters and packages."
    if not a.record.seeds and not b.record.seeds:
        return (
            "Same code, data, parameters and packages: the difference is randomness, and no seed "
            "was found. Set one (random_state=0, numpy.random.seed(0)) to see."
        )
    return (
        "Same code, data, parameters, packages and seeds: what is left is what is not recorded, "
        "such as threads, the order of cells, or a generator that was not seeded."
    )


def _input(item: InputDifference) -> str:
    place = f" ({item.source})" if item.source and item.source != item.name else ""
    if item.status == "renamed":
        return f"The input {item.name} is now called {item.other}; its content is the same."
    if item.status == "a":
        return f"The input {item.name}{place} is no longer used."
    if item.status == "b":
        return f"The input {item.name}{place} is new."
    facts = []
    if item.rows_a is not None and item.rows_b is not None and item.rows_a != item.rows_b:
        facts.append(f"from {item.rows_a:,} to {item.rows_b:,} rows")
    elif item.rows_a is None and item.size_a is not None and item.size_a != item.size_b:
        facts.append(f"from {size(item.size_a)} to {size(item.size_b or 0)}")
    if item.added:
        facts.append(f"{count(len(item.added), 'column')} more ({_some(item.added)})")
    if item.removed:
        facts.append(f"{count(len(item.removed), 'column')} fewer ({_some(item.removed)})")
    facts += [f"{name} is {b} instead of {a}" for name, (a, b) in list(item.retyped.items())[:3]]
    if not facts:
        facts.append("other values in the same shape" if item.rows_a is not None else "other bytes")
    return f"The data changed: {item.name}{place}, {', '.join(facts)}."


def _change(change: Difference, what: str) -> str:
    if change.only == "a":
        return f"{what} was {value(change.a)} and is not there any more."
    if change.only == "b":
        return f"{what} is new: {value(change.b)}."
    return f"{what} went from {value(change.a)} to {value(change.b)}."


def _packages(changes: Sequence[Difference], needed: set[str]) -> Iterator[Reason]:
    """Those first that a stored model needs; of many, the rest is counted."""
    ranked = sorted(changes, key=lambda change: _plain(change.name) not in needed)
    for change in ranked[:_PACKAGES]:
        if change.only == "a":
            yield Reason("package", f"{change.name} {change.a} is not installed any more.")
        elif change.only == "b":
            yield Reason("package", f"{change.name} {change.b} was installed.")
        else:
            yield Reason("package", f"{change.name} went from {change.a} to {change.b}.")
    if len(ranked) > _PACKAGES:
        rest = len(ranked) - _PACKAGES
        yield Reason("package", f"{count(rest, 'other package')} changed, too.")


def _needed(details: RunDetails) -> set[str]:
    pins = [pin for model in details.record.models for pin in model.requirements]
    return {_plain(re.split(r"[=<>!~\[; ]", pin, maxsplit=1)[0]) for pin in pins}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _lines(diff: str) -> str:
    lines = [line for line in diff.splitlines() if not line.startswith(("+++", "---"))]
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    return f"{count(added, 'line')} added, {count(removed, 'line')} removed"


def _only_values(comparison: Comparison) -> bool:
    """Whether the cells differ in nothing but the literals that are told as parameters."""
    changed = {change.name for change in comparison.params if change.only is None}
    names: dict[str, list[str]] = {"+": [], "-": []}
    for line in comparison.code.source.splitlines()[2:]:
        if line[:1] in names:
            assigned = re.match(r"\s*([^\W\d]\w*)\s*(?::[^=]*)?=(?!=)", line[1:])
            names[line[0]].append(assigned[1] if assigned else "")
    return names["+"] == names["-"] and changed.issuperset(names["+"])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
