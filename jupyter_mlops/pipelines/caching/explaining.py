"""Says in sentences how a step differs from a kept result."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from .keying import StepKey
from .store import Entry

__all__ = ["differences", "hit_sentence", "nearest"]

_MOST = 8  # sentences of one sort


def hit_sentence(entry: Entry) -> str:
    """Why a result stands for the step."""
    parts, depends = entry.data["parts"], entry.data["depends"]
    read = len(depends["files"]) + len(parts["files"])
    counts = [
        _count(len(parts["cells"]), "cell"),
        _count(len(parts["modules"]), "module"),
        _count(len(parts["parameters"]), "parameter"),
        _count(len(parts["inputs"]), "input"),
        f"{_count(read, 'file')} read",
    ]
    when = datetime.fromtimestamp(entry.data["kept"]).strftime("%Y-%m-%d %H:%M")
    what = ", ".join(text for text in counts if not text.startswith("0 "))
    return f"as in run {entry.data['run']} ({when}): {what}, environment"


def nearest(key: StepKey, entries: Sequence[Entry]) -> Entry | None:
    """The entry with the fewest differences; of several the one used last."""
    best: tuple[int, Entry] | None = None
    for entry in entries:
        count = len(differences(key, entry))
        if best is None or count < best[0]:
            best = (count, entry)
    return None if best is None else best[1]


def differences(key: StepKey, entry: Entry) -> list[str]:
    """What is another than in a kept result; empty if the keys are equal."""
    new, old = key.parts, entry.data["parts"]
    found: list[str] = []
    if new["format"] != old["format"]:
        return ["it was kept by another version of the cache"]
    for part, word in (("folder", "the working folder"), ("notebook", "the notebook's path")):
        if new[part] != old[part]:
            found.append(f"{word} was {old[part]}, is {new[part]}")
    found += _cells(key, entry)
    found += _named("the module", old["modules"], new["modules"])
    for name in _different(old["parameters"], new["parameters"]):
        before = entry.data["shown"].get(name, "not there")
        now = key.shown.get(name, "not there")
        same = "; both are not shown whole" if before == now else ""
        found.append(f"the parameter {name} was {before}, is {now}{same}")
    found += _named("the input", old["inputs"], new["inputs"], "has another content")
    found += _named("the output", old["outputs"], new["outputs"])
    found += _named("the file", old["files"], new["files"])
    found += _environment(old["environment"], new["environment"])
    found += _named("the environment variable", old["variables"], new["variables"])
    return found


def _cells(key: StepKey, entry: Entry) -> list[str]:
    old, new = entry.data["parts"]["cells"], key.parts["cells"]
    titles = entry.data["titles"]
    found = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        before = [source for _number, _title, source in titles[a:b]]
        for at, (number, title, source) in enumerate(key.titles[c:d]):
            line = _changed_line(before[at], source) if at < len(before) else ""
            verb = "changed" if at < len(before) else "is new"
            text = line or title
            found.append(f"cell {number} {verb}: {text}" if text else f"cell {number} {verb}")
        if kind == "delete":
            found += [f"the cell that was number {n} is gone: {t}" for n, t, _ in titles[a:b]]
    return _cut(found)


def _changed_line(old: str, new: str) -> str:
    """The first line of the new source that the old one does not have."""
    known = {line.strip() for line in old.splitlines()}
    lines = [line.strip() for line in new.splitlines()]
    return next((line[:80] for line in lines if line and line not in known), "")


def _environment(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    found = []
    for name, word in (("python", "Python"), ("interpreter", "the interpreter"),
                       ("prefix", "the environment's folder"), ("path", "Python's search path"),
                       ("platform", "the platform"), ("kernel", "the kernel")):  # fmt: skip
        if old[name] != new[name]:
            found.append(f"{word} was {_plain(old[name])}, is {_plain(new[name])}")
    packages = []
    for name in _different(old["packages"], new["packages"]):
        before, now = old["packages"].get(name), new["packages"].get(name)
        if before is None:
            packages.append(f"the package {name} {now} is new")
        elif now is None:
            packages.append(f"the package {name} {before} is gone")
        else:
            packages.append(f"the package {name} was {before}, is {now}")
    return found + _cut(packages) + _named("the settings file", old["settings"], new["settings"])


def _named(
    word: str, old: dict[str, Any], new: dict[str, Any], changed: str = "changed"
) -> list[str]:
    found = []
    for name in _different(old, new):
        if old.get(name) is None:
            found.append(f"{word} {name} is new")
        elif new.get(name) is None:
            found.append(f"{word} {name} is gone")
        else:
            found.append(f"{word} {name} {changed}")
    return _cut(found)


def _different(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def _cut(sentences: list[str]) -> list[str]:
    if len(sentences) <= _MOST:
        return sentences
    return [*sentences[: _MOST - 1], f"and {len(sentences) - _MOST + 1} more of that sort"]


def _plain(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value).split("\n")[0]
    return text if len(text) <= 100 else f"{text[:97]}..."


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
