"""What differs between two runs, and only that."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..model.events import InputRecord, RunRecord
from ..model.registry import lower_is_better
from .details import RunDetails
from .patches import ReadFile, between, unified

__all__ = [
    "CodeDifference",
    "Comparison",
    "Curve",
    "Difference",
    "InputDifference",
    "MetricDifference",
    "ModuleDifference",
    "RunLabel",
    "compare",
    "thinned",
]

_POINTS = 400  # of a curve: more than a drawing of this size can show


@dataclass(frozen=True, slots=True)
class RunLabel:
    """Which run: what it is called, when it ran, how it ended."""

    run_id: str
    name: str
    status: str
    started: float
    duration: float | None
    notebook: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs; ``only`` is ``a`` or ``b`` where the other run has none of the name."""

    name: str
    a: Any = None
    b: Any = None
    only: str | None = None


@dataclass(frozen=True, slots=True)
class MetricDifference:
    """A metric that differs.

    ``delta`` is b - a, ``relative`` that divided by the absolute value of a (``None`` where it
    cannot be).  ``better`` is ``a`` or ``b``, by what the metric's name says of its direction.
    """

    name: str
    a: float | None
    b: float | None
    delta: float | None
    relative: float | None
    lower_is_better: bool
    better: str | None


@dataclass(frozen=True, slots=True)
class InputDifference:
    """An input that differs.

    ``status`` is ``changed``, ``a`` or ``b`` (only in that run), ``renamed`` (the same digest under
    another name: ``name`` is that of a, ``other`` that of b).  ``retyped`` maps a column to its
    types in a and b.
    """

    name: str
    status: str
    source: str | None = None
    other: str | None = None
    digest_a: str | None = None
    digest_b: str | None = None
    rows_a: int | None = None
    rows_b: int | None = None
    size_a: int | None = None
    size_b: int | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModuleDifference:
    """An imported file of the project that differs; ``diff`` from a to b where it is known."""

    name: str
    only: str | None = None
    diff: str | None = None


@dataclass(frozen=True, slots=True)
class CodeDifference:
    """``source`` is the unified diff of the cell's source; ``git`` the commit, branch and state."""

    source: str = ""
    git: tuple[Difference, ...] = ()
    modules: tuple[ModuleDifference, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric's series in both runs as ``[step, value]``, at most a few hundred points each."""

    name: str
    a: tuple[tuple[float, float], ...] = ()
    b: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between the runs ``a`` and ``b``.

    ``same_inputs`` names the inputs whose digests are equal; ``unknown`` says in sentences what
    could not be compared and why.
    """

    a: RunLabel
    b: RunLabel
    metrics: tuple[MetricDifference, ...] = ()
    params: tuple[Difference, ...] = ()
    hyperparameters: tuple[Difference, ...] = ()
    code: CodeDifference = CodeDifference()
    inputs: tuple[InputDifference, ...] = ()
    same_inputs: tuple[str, ...] = ()
    packages: tuple[Difference, ...] = ()
    environment: tuple[Difference, ...] = ()
    seeds: tuple[Difference, ...] = ()
    models: tuple[Difference, ...] = ()
    resources: tuple[Difference, ...] = ()
    curves: tuple[Curve, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing that a result depends on is known to differ."""
        return not (
            self.params
            or self.hyperparameters
            or self.code.source
            or self.code.git
            or self.code.modules
            or self.inputs
            or self.packages
            or self.environment
            or self.seeds
            or self.models
        )

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain data; numbers may be NaN or infinite."""
        return asdict(self) | {"same": self.same}


def compare(a: RunDetails, b: RunDetails, read: ReadFile | None = None) -> Comparison:
    """Compare two runs; ``read`` gives the content of files that a record does not hold itself.

    Values of a run that MLflow alone knows are text: such a pair is compared as text.  A value that
    is not a number equals itself.
    """
    first, second = a.record, b.record
    typed = a.complete and b.complete
    inputs, same, unclear = _inputs(first, second)
    return Comparison(
        a=_label(a),
        b=_label(b),
        metrics=tuple(_metrics(first.metrics, second.metrics)),
        params=_values(first.params, second.params, typed=typed),
        hyperparameters=_values(
            _without(first.hyperparameters, first.params),
            _without(second.hyperparameters, second.params),
            typed=typed,
        ),
        code=_code(a, b, read),
        inputs=inputs,
        same_inputs=same,
        packages=_packages(a, b),
        environment=_environment(a, b),
        seeds=_values(first.seeds, second.seeds, typed=typed),
        models=_values(_classes(first), _classes(second)),
        resources=_values(first.resources, second.resources),
        curves=tuple(_curves(first.series, second.series)),
        unknown=(*_unknown(a, b), *unclear),
    )


def thinned(points: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    """``[step, value, ...]`` points as pairs in order of steps, thinned to what can be drawn.

    Of each run of neighbours the lowest and the highest value stay: peaks are not lost.
    """
    pairs = sorted(
        ((float(point[0]), float(point[1])) for point in points if len(point) > 1),
        key=lambda pair: pair[0],
    )
    if len(pairs) <= _POINTS:
        return tuple(pairs)
    size = math.ceil(len(pairs) / (_POINTS // 2))
    kept = []
    for start in range(0, len(pairs), size):
        part = range(start, min(start + size, len(pairs)))
        low = min(part, key=lambda i: pairs[i][1])
        high = max(part, key=lambda i: pairs[i][1])
        kept += [pairs[i] for i in sorted({low, high})]
    return tuple(kept)


def _label(details: RunDetails) -> RunLabel:
    summary = details.summary
    taken = None if summary.ended is None else max(0.0, summary.ended - summary.started)
    return RunLabel(
        summary.run_id,
        summary.name,
        summary.status,
        summary.started,
        taken,
        summary.notebook,
        details.origin,
    )


def _metrics(a: Mapping[str, float], b: Mapping[str, float]) -> Iterator[MetricDifference]:
    for name in _names(a, b):
        left, right = a.get(name), b.get(name)
        if left is not None and right is not None and _same(left, right):
            continue
        lower = lower_is_better(name)
        delta = relative = better = None
        if left is not None and right is not None:
            delta = right - left
            if left and math.isfinite(delta) and math.isfinite(left):
                relative = delta / abs(left)
            better = _better(left, right, lower)
        yield MetricDifference(name, left, right, delta, relative, lower, better)


def _better(a: float, b: float, lower: bool) -> str | None:
    if math.isnan(a) or math.isnan(b):
        return None if math.isnan(a) and math.isnan(b) else "b" if math.isnan(a) else "a"
    if a == b:
        return None
    return "b" if (b < a) == lower else "a"


def _values(
    a: Mapping[str, Any], b: Mapping[str, Any], *, typed: bool = True
) -> tuple[Difference, ...]:
    found = []
    for name in _names(a, b):
        if name not in b:
            found.append(Difference(name, a=a[name], only="a"))
        elif name not in a:
            found.append(Difference(name, b=b[name], only="b"))
        elif not _same(a[name], b[name], typed=typed):
            found.append(Difference(name, a[name], b[name]))
    return tuple(found)


def _same(a: Any, b: Any, *, typed: bool = True) -> bool:
    # As text, so that NaN equals itself and 1 does not equal True.
    if typed and not (isinstance(a, float) or isinstance(b, float)):
        return repr(a) == repr(b)
    if typed and isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return float(a) == float(b) or (math.isnan(a) and math.isnan(b))
    return (a if isinstance(a, str) else repr(a)) == (b if isinstance(b, str) else repr(b))


def _names(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([*a, *b]))


def _without(values: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in shown}


def _classes(record: RunRecord) -> dict[str, str]:
    return {model.name: model.class_name for model in record.models}


def _code(a: RunDetails, b: RunDetails, read: ReadFile | None) -> CodeDifference:
    first, second = a.record, b.record
    source = ""
    if first.source is not None and second.source is not None:
        source = unified(first.source, second.source, a.name, b.name)
    git = _values(_git(first), _git(second)) if _git(first) and _git(second) else ()
    modules = []
    for name in sorted({*first.modules, *second.modules}) if a.complete and b.complete else ():
        if first.modules.get(name) == second.modules.get(name):
            continue
        only = "a" if name not in second.modules else "b" if name not in first.modules else None
        modules.append(ModuleDifference(name, only, None if only else between(a, b, name, read)))
    return CodeDifference(source, git, tuple(modules))


def _git(record: RunRecord) -> dict[str, Any]:
    known = {
        "commit": record.git_commit,
        "branch": record.git_branch,
        "uncommitted changes": record.git_dirty,
    }
    return {name: value for name, value in known.items() if value is not None}


def _inputs(
    a: RunRecord, b: RunRecord
) -> tuple[tuple[InputDifference, ...], tuple[str, ...], list[str]]:
    """The inputs that differ, the names of those that are the same, and what is unclear."""
    left, right = _by_name(a.inputs), _by_name(b.inputs)
    found: list[InputDifference] = []
    same: list[str] = []
    unclear: list[str] = []
    for key in [key for key in left if key in right]:
        one, other = left.pop(key), right.pop(key)
        if one.digest is not None and one.digest == other.digest:
            same.append(one.name)
            continue
        difference = _input(one, other)
        if one.digest is None or other.digest is None:
            why = one.reason or other.reason or "no digest was taken"
            looks_equal = (one.rows, one.size, one.schema) == (other.rows, other.size, other.schema)
            if looks_equal:
                unclear.append(f"whether the input {one.name} is the same is not known: {why}")
                continue
        found.append(difference)
    digests = {item.digest: key for key, item in right.items() if item.digest is not None}
    for item in left.values():
        key_b = digests.pop(item.digest, None) if item.digest is not None else None
        if key_b is None:
            found.append(_lone(item, "a"))
        else:
            other = right.pop(key_b)
            found.append(
                InputDifference(
                    item.name,
                    "renamed",
                    item.source,
                    other.name if other.name != item.name else other.source,
                    item.digest,
                    other.digest,
                )
            )
    found += [_lone(item, "b") for item in right.values()]
    return tuple(found), tuple(same), unclear


def _by_name(items: Sequence[InputRecord]) -> dict[tuple[str, int], InputRecord]:
    """By name; several of one name are told apart by their order."""
    counts: dict[str, int] = {}
    found = {}
    for item in items:
        number = counts[item.name] = counts.get(item.name, 0) + 1
        found[item.name, number] = item
    return found


def _input(a: InputRecord, b: InputRecord) -> InputDifference:
    both = [name for name in a.schema if name in b.schema]
    return InputDifference(
        name=a.name,
        status="changed",
        source=b.source if a.source in (b.source, None) else f"{a.source} -> {b.source}",
        digest_a=a.digest,
        digest_b=b.digest,
        rows_a=a.rows,
        rows_b=b.rows,
        size_a=a.size,
        size_b=b.size,
        added=tuple(name for name in b.schema if name not in a.schema) if a.schema else (),
        removed=tuple(name for name in a.schema if name not in b.schema) if b.schema else (),
        retyped={n: (a.schema[n], b.schema[n]) for n in both if a.schema[n] != b.schema[n]},
    )


def _lone(item: InputRecord, where: str) -> InputDifference:
    if where == "a":
        return InputDifference(
            item.name, "a", item.source, None, item.digest, None, item.rows, None, item.size
        )
    return InputDifference(
        item.name, "b", item.source, None, None, item.digest, None, item.rows, None, item.size
    )


def _packages(a: RunDetails, b: RunDetails) -> tuple[Difference, ...]:
    if a.environment is None or b.environment is None:
        return ()
    return tuple(
        sorted(
            _values(a.environment.packages, b.environment.packages), key=lambda d: d.name.lower()
        )
    )


def _environment(a: RunDetails, b: RunDetails) -> tuple[Difference, ...]:
    if a.environment is None or b.environment is None:
        return ()
    first, second = (
        {"python": e.python, "platform": e.platform} | e.hardware
        for e in (a.environment, b.environment)
    )
    return _values(first, second)


def _curves(
    a: Mapping[str, list[list[float]]], b: Mapping[str, list[list[float]]]
) -> Iterator[Curve]:
    for name in _names(a, b):
        left, right = thinned(a.get(name, ())), thinned(b.get(name, ()))
        if max(len(left), len(right)) > 1 and repr(left) != repr(right):
            yield Curve(name, left, right)


def _unknown(a: RunDetails, b: RunDetails) -> Iterator[str]:
    for details in (a, b):
        if not details.complete:
            why = f": {details.problem}" if details.problem else ""
            what = "logged with plain MLflow" if details.origin == "mlflow" else "known in part"
            yield f"{details.name} ({details.run_id[:12]}) is {what}{why}"
        elif details.environment is None:
            yield f"the packages of {details.name} ({details.run_id[:12]}) were not recorded"
    if a.complete and b.complete and (a.record.source is None) != (b.record.source is None):
        lacking = a if a.record.source is None else b
        yield f"{lacking.name} ({lacking.run_id[:12]}) has no recorded source"
