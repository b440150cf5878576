"""Decides from run-time evidence whether a step's results may be kept, and on what they depend."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...project import Project
from ..planned import PlannedStep
from .digests import ABSENT, RACY, Places, code_digest, file_digest, listing_digest, probe
from .evidence import Evidence, Identity
from .keying import StepKey
from .modules import importable
from .watching import Seen

__all__ = ["Judgement", "changed_dependency", "judge"]

_RANDOM = {"random": "Python's", "numpy": "NumPy's", "torch": "torch's"}
_EFFECTS = {
    "subprocess": "it started {}",
    "sqlite3.connect": "it opened the database {}",
    "evidence": "the evidence is not whole: {}",
    "os.fork": "it forked",
    "builtins.input": "it asked for input",
}


@dataclass(slots=True)
class Judgement:
    """``reasons`` against keeping; without any, ``depends`` is what a later hit must compare."""

    reasons: list[str] = field(default_factory=list)
    depends: dict[str, Any] = field(default_factory=dict)


def judge(
    project: Project, step: PlannedStep, key: StepKey, evidence: Evidence | None, seen: Seen
) -> Judgement:
    """Judge a completed step.  Raises ``OSError`` where something read cannot be read now."""
    if evidence is None or not evidence.start:
        return Judgement(["its kernel gave no evidence of what it read and did"])
    if not evidence.whole:
        return Judgement(["its kernel's evidence is not whole"])
    return _Judge(project, step, key, evidence, seen).judge()


def changed_dependency(depends: dict[str, Any], places: Places) -> str | None:
    """The first thing that the step had seen and that is another now, as a sentence."""
    for kind, digest_of, sentence in (
        ("files", file_digest, "{}, which it read, changed"),
        ("code", code_digest, "{}, which it imports, changed"),
        ("probes", probe, "{}, which it looked for, came, went or changed its size"),
        ("lists", listing_digest, "{}, which it lists, has other names"),
    ):
        for place, known in depends[kind].items():
            try:
                now = digest_of(places.path(place))
            except OSError:
                now = ABSENT
            if now != known:
                return sentence.format(place)
    for folder, names in depends["search"].items():
        found = importable(folder, depends["names"])
        if found != names:
            other = sorted(set(found) ^ set(names))[0]
            return f"the module {other} in {folder} came or went"
    return None


class _Judge:
    def __init__(
        self, project: Project, step: PlannedStep, key: StepKey, evidence: Evidence, seen: Seen
    ) -> None:
        self._project = project
        self._step = step
        self._key = key
        self._evidence = evidence
        self._seen = seen
        self._places = Places(step.output.parent)
        self._result = Judgement()
        self._outputs = {str(path) for path in step.outputs.values()}
        self._inputs = {str(path) for path in step.inputs.values()}
        self._above = {
            str(folder) for path in step.outputs.values() for folder in path.parents
        }  # folders that are there whenever a step runs
        self._store = str(project.state / "snapshots") + os.sep
        self._cache = str(project.state / "cache") + os.sep
        self._began = int(float(evidence.start.get("time", 0)) * 1e9)

    def judge(self) -> Judgement:
        self._effects()
        self._randomness()
        self._writes()
        self._unseen()
        if not self._result.reasons:
            self._depend()
        return self._result

    def _refuse(self, reason: str) -> None:
        if reason not in self._result.reasons:
            self._result.reasons.append(reason)

    def _shown(self, path: str) -> str:
        return self._project.relative(path)

    def _ours(self, path: str) -> bool:
        """Whether a path belongs to the store of snapshots, all of which are read by version."""
        return self._key.findings.loads and (path + os.sep).startswith(self._store)

    def _effects(self) -> None:
        for kind, detail in self._evidence.effects:
            if kind == "sqlite3.connect" and self._ours(detail):
                continue
            if kind.startswith(("socket.", "urllib.", "webbrowser.")):
                self._refuse(f"it used the network ({kind})")
            elif kind in _EFFECTS:
                self._refuse(_EFFECTS[kind].format(detail))
            else:
                self._refuse(f"it did what cannot be repeated ({kind})")
        if self._evidence.end.get("children"):
            self._refuse("processes that it started did not end")
        for who in sorted(self._evidence.entropy):
            self._refuse(f"{who or 'something'} drew random numbers without a seed")

    def _randomness(self) -> None:
        cells = self._evidence.cells
        if self._key.cells and not cells:
            self._refuse("its kernel gave no evidence of cells")
            return
        changed = set(map(str, self._evidence.end.get("changed", ())))
        for library in sorted(changed):
            if library == "torch":
                # Its state says nothing of when it was seeded.
                self._refuse("torch's random numbers were used")
            elif not self._seeded(library):
                self._refuse(f"{_RANDOM[library]} random numbers were used without a seed")

    def _seeded(self, library: str) -> bool:
        """Whether a cell seeds the library before anything can have drawn from it."""
        places = self._key.findings.seeds.get(library)
        injected = 1 if self._is_injected() else 0
        cells = self._evidence.cells
        if not places or len(cells) != len(self._key.cells) + injected:
            return False
        first = min(cell for cell, _statement in places)
        if injected and first >= self._injection():
            first += injected
        return all(library not in changed for changed in cells[: first + 1])

    def _is_injected(self) -> bool:
        tagged = any("injected-parameters" in cell.tags for cell in self._key.cells)
        return bool(self._step.parameters) and not tagged

    def _injection(self) -> int:
        """Before which of the cells the parameters are injected."""
        for at, cell in enumerate(self._key.cells):
            if "parameters" in cell.tags:
                return at + 1
        return 0

    def _writes(self) -> None:
        for path, existed in self._evidence.writes.items():
            if path in self._outputs or path in self._above or self._ours(path):
                continue
            if existed:
                self._refuse(f"it changed {self._shown(path)}")
            elif os.path.lexists(path):  # else it was scratch, gone by now
                self._refuse(f"it wrote {self._shown(path)}, which is no declared output")
        for path in sorted(self._key.missing - self._outputs):
            if os.path.lexists(path):
                self._refuse(f"{self._shown(path)} is new since it ran")

    def _unseen(self) -> None:
        """What native code does."""
        findings = self._key.findings
        if findings.native and (not self._seen.whole or findings.elsewhere):
            why = self._seen.why or "the path is outside of the project"
            self._refuse(f"{findings.native[0]} reads files that are not seen: {why}")
        known = self._evidence.writes.keys() | self._outputs | self._above
        for path in sorted(self._seen.changed - known):
            if path.endswith((".ipynb", ".pyc")) or "__pycache__" in path:
                continue
            if os.path.basename(path).startswith("."):
                continue  # an editor's or a tool's
            self._refuse(f"{self._shown(path)} was written while it ran")

    def _depend(self) -> None:
        evidence = self._evidence
        self._unchanged()
        probes = {
            self._places.name(path): state
            for path, state in evidence.probes.items()
            if not self._skipped(path) and path not in evidence.writes
        }
        for place, state in probes.items():
            if probe(self._places.path(place)) != state:
                self._refuse(f"{place} came, went or changed while it ran")
        lists = {}
        for path, identity in evidence.lists.items():
            passed = self._skipped(path) or path in evidence.writes
            if not passed and self._same(path, identity):
                lists[self._places.name(path)] = listing_digest(path)
        searched = {*evidence.searched, *map(str, evidence.end["path"]), str(self._step.cwd)}
        names = sorted({*evidence.end["modules"], "sitecustomize"})
        self._result.depends = {
            "files": self._files(),
            "code": self._code(),
            "probes": probes,
            "lists": lists,
            "search": {f: importable(f, names) for f in sorted(searched)},
            "names": names,
        }

    def _unchanged(self) -> None:
        """What the key has of inputs and named files must still be so."""
        for name, file in self._step.inputs.items():
            if file_digest(file) != self._key.parts["inputs"][name][1]:
                self._refuse(f"its input {name} changed while it ran")
        for path, digest in self._key.parts["files"].items():
            if path not in self._outputs and file_digest(path) != digest:
                self._refuse(f"{self._shown(path)} changed while it ran")

    def _files(self) -> dict[str, str]:
        """Digests of what was read, seen by Python or only by the system."""
        evidence = self._evidence
        found = {}
        for path, identity in evidence.reads.items():
            if not self._skipped(path) and self._same(path, identity):
                found[self._places.name(path)] = file_digest(path)
        native = self._seen.opened - evidence.reads.keys() - evidence.code.keys()
        for path in sorted(native - evidence.writes.keys()):
            data = not path.endswith((".py", ".pyc", ".so", ".ipynb"))
            if data and not self._skipped(path) and self._untouched(path):
                found[self._places.name(path)] = file_digest(path)
        return found

    def _skipped(self, path: str) -> bool:
        return (
            path in self._outputs
            or path in self._inputs
            or path in self._above
            or path.startswith(self._cache)
            or self._ours(path)
        )

    def _same(self, path: str, identity: Identity) -> bool:
        """Whether a file is what it was when it was opened; else that is a reason."""
        now = _identity(path)
        if identity is None:
            if now is not None:
                self._refuse(f"{self._shown(path)} came while it ran")
            return now is None
        if now != identity[:4]:
            self._refuse(f"{self._shown(path)} changed while it ran")
            return False
        if identity[4] - max(identity[2], identity[3]) < RACY:
            self._refuse(f"{self._shown(path)} changed just when it was read")
            return False
        return True

    def _untouched(self, path: str) -> bool:
        """Whether a file is older than the step; else that is a reason."""
        now = _identity(path)
        if now is not None and max(now[2], now[3]) > self._began - RACY:
            self._refuse(f"{self._shown(path)} changed while it ran")
            return False
        return True

    def _code(self) -> dict[str, str]:
        """Modules from outside of the libraries: by their sources, where there are any."""
        evidence = self._evidence
        found = {}
        for path, identity in {**evidence.loaded, **evidence.code}.items():
            source = path
            if path.endswith(".pyc"):
                try:
                    source = importlib.util.source_from_cache(path)
                except ValueError:
                    source = path
                now = _identity(source)
                if now is None:
                    if os.path.lexists(path) and "__pycache__" not in path:
                        found[self._places.name(path)] = file_digest(path)
                    continue
                # Python compares whole seconds: a source may be newer than what was loaded.
                newer = identity is not None and now[3] > identity[2] - RACY
                if newer and source not in evidence.code:
                    self._refuse(f"{self._shown(source)} is newer than its compiled form")
                    continue
            if self._untouched(source):
                found[self._places.name(source)] = code_digest(source)
                known = self._key.parts["modules"].get(self._project.relative(source))
                if known is not None and known != found[self._places.name(source)]:
                    self._refuse(f"{self._shown(source)} changed while it ran")
        return found


def _identity(path: str) -> tuple[int, int, int, int] | None:
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
