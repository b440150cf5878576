"""The step cache of a run: looks up, restores and keeps (``step_cache.StepCache``)."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...config import Config
from ...project import Project
from ..attempts import Control
from ..files import write_atomic
from ..plan import Plan
from ..planned import PlannedStep
from ..step_cache import CacheVerdict
from .digests import Places
from .evidence import VARIABLE, read_evidence
from .explaining import differences, hit_sentence, nearest
from .judging import changed_dependency, judge
from .keying import StepKey, step_key
from .locking import KeyLock
from .notebooks import executed_cells, notebook_text, restored
from .store import CacheStore, Entry
from .watching import Watch

__all__ = ["RunCache", "Verdict", "cached", "with_evidence"]

_NOTEBOOK = "notebook"
_EVIDENCE = ".evidence"
_LONGEST_WAIT = 3600.0  # seconds for somebody else who computes the same
_COMPARED = 50  # entries of a step, to find the nearest


@dataclass(frozen=True)
class Verdict(CacheVerdict):
    """What a lookup found; ``notes`` are added when it is decided whether the result is kept."""

    notes: list[str] = field(default_factory=list)
    entry: Entry | None = None

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON."""
        return {"hit": self.hit, "key": self.key, "why": [*self.why, *self.notes]}


@dataclass(slots=True)
class _Running:
    """A step that is being computed: what was known before."""

    key: StepKey
    lock: KeyLock | None
    watch: Watch
    evidence: Path


def with_evidence(plan: Plan) -> Plan:
    """The plan with steps whose kernels write evidence, in the run's folder."""
    folder = plan.folder / _EVIDENCE
    steps = [
        replace(step, env={**step.env, VARIABLE: str(folder / f"{step.name}.jsonl")})
        for step in plan.steps
    ]
    return replace(plan, steps=steps)


@contextlib.contextmanager
def cached(
    project: Project, config: Config, plan: Plan, control: Control, use: bool = True
) -> Iterator[Plan]:
    """Give the steps of a plan the cache; yield the plan with what that needs.

    Notebooks declare no outputs, so only pipelines have one.
    """
    if not use or not config.cache or plan.kind != "pipeline" or plan.pipeline is None:
        yield plan
        return
    cache = RunCache(project, plan.pipeline, plan.run_id, config.cache_size)
    cache.stopped = control.ending.is_set
    control.cache = cache
    try:
        yield with_evidence(plan)
    finally:
        cache.close()


class RunCache:
    """The cache for the steps of one run of a pipeline; ``limit`` is its size in bytes.

    ``stopped`` is asked while another run is waited for that computes the same step.
    """

    def __init__(
        self,
        project: Project,
        pipeline: str,
        run_id: str,
        limit: int,
        *,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.store = CacheStore(project)
        self.stopped = stopped
        self._project = project
        self._pipeline = pipeline
        self._run_id = run_id
        self._limit = limit
        self._running: dict[str, _Running] = {}
        self._guard = threading.Lock()

    def lookup(self, step: PlannedStep) -> CacheVerdict:
        """Say whether ``step`` has been done before; its inputs exist, it has not started.

        Waits where another run computes the same.  Never raises.
        """
        try:
            return self._lookup(step)
        except Exception as error:  # the cache is a convenience: without it the step runs
            self._forget(step)
            return Verdict(False, "", (f"not looked up: {type(error).__name__}: {error}",))

    def explain(self, step: PlannedStep) -> Verdict:
        """What ``lookup`` would say now, without waiting or taking anything."""
        try:
            return self._found(step, step_key(self._project, self._pipeline, step, self._secret()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            return Verdict(False, "", (f"not looked up: {type(error).__name__}: {error}",))

    def restore(self, step: PlannedStep, verdict: CacheVerdict) -> bool:
        """Write a hit's outputs and executed notebook to where ``step`` has them.

        Everything is compared with its digest first; False where that fails: then the step runs.
        """
        if not isinstance(verdict, Verdict) or verdict.entry is None:
            return False
        entry = verdict.entry
        try:
            with self.store.using():
                done = self._restore(step, entry)
                if not done:
                    self.store.drop(entry)
        except Exception as error:
            done = False
            verdict.notes.append(f"not restored: {type(error).__name__}: {error}")
        else:
            if done:
                self.store.use(entry)
                return True
            verdict.notes.append("not restored: what was kept is damaged, and was removed")
        # The step runs now, and its result takes the place of the damaged one.
        with contextlib.suppress(Exception):
            key = step_key(self._project, self._pipeline, step, self._secret())
            self._begin(step, key, None)
        return False

    def keep(self, step: PlannedStep, verdict: CacheVerdict) -> None:
        """Keep a completed step's results if its evidence allows it.  Never raises."""
        notes = verdict.notes if isinstance(verdict, Verdict) else []
        with self._guard:
            running = self._running.pop(step.name, None)
        if running is None:
            return
        try:
            reasons = self._keep(step, running)
        except Exception as error:
            reasons = [f"{type(error).__name__}: {error}"]
        finally:
            self._release(running)
        notes.extend(f"not kept: {reason}" for reason in reasons)
        with contextlib.suppress(Exception):
            self.store.refuse(self._pipeline, step.name, reasons, running.key.digest)
            if not reasons and self._limit:
                self.store.evict(self._limit)

    def close(self) -> None:
        """Give back what steps hold that were not completed."""
        with self._guard:
            left, self._running = self._running, {}
        for running in left.values():
            self._release(running)

    def _secret(self) -> bytes:
        return self.store.secret()

    def _lookup(self, step: PlannedStep) -> CacheVerdict:
        self._forget(step)
        key = step_key(self._project, self._pipeline, step, self._secret())
        verdict = self._found(step, key)
        if verdict.hit or key.refused:
            return verdict
        lock = None
        if self.store.refused(self._pipeline, step.name)[0] != key.digest:
            lock = KeyLock(self.store.folder / "locks" / key.digest[:3])
            if not lock.take(0.0):
                began = time.monotonic()
                waited = self._wait(lock, began)
                again = self._found(step, key)
                if again.hit:
                    lock.release()
                    seconds = time.monotonic() - began
                    note = f"waited {seconds:.1f} s for another run that computed it"
                    return replace(again, why=(*again.why, note))
                if not waited:
                    lock = None
        self._begin(step, key, lock)
        return verdict

    def _wait(self, lock: KeyLock, began: float) -> bool:
        while time.monotonic() - began < _LONGEST_WAIT and not self.stopped():
            if lock.take(0.5):
                return True
        return False

    def _begin(self, step: PlannedStep, key: StepKey, lock: KeyLock | None) -> None:
        evidence = Path(step.env[VARIABLE])
        evidence.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        evidence.unlink(missing_ok=True)
        folders = [self._project.root]
        for folder in (step.cwd, step.notebook.parent):
            if not folder.is_relative_to(self._project.root):
                folders.append(folder)
        if key.findings.native:
            elsewhere = [Path(one) for one in sorted(key.folders)]
            if any(self._project.root.is_relative_to(one) for one in elsewhere):
                key.findings.elsewhere = True
            else:
                folders += elsewhere
        watch = Watch(folders, {path.parent for path in step.inputs.values()})
        with self._guard:
            self._running[step.name] = _Running(key, lock, watch, evidence)

    def _forget(self, step: PlannedStep) -> None:
        with self._guard:
            running = self._running.pop(step.name, None)
        if running is not None:
            self._release(running)

    @staticmethod
    def _release(running: _Running) -> None:
        running.watch.close()
        if running.lock is not None:
            running.lock.release()
        with contextlib.suppress(OSError):
            running.evidence.unlink(missing_ok=True)
            running.evidence.parent.rmdir()

    def _found(self, step: PlannedStep, key: StepKey) -> Verdict:
        if key.refused:
            return Verdict(False, key.digest, tuple(f"not kept: {r}" for r in key.refused))
        places = Places(step.output.parent)
        changed = []
        for entry in self.store.entries(self._pipeline, step.name, key.digest):
            reason = changed_dependency(entry.data["depends"], places)
            if reason is None:
                return Verdict(True, key.digest, (hit_sentence(entry),), entry=entry)
            changed.append(reason.replace(f"{self._project.root}{os.sep}", ""))
        if changed:
            return Verdict(False, key.digest, (changed[0],))
        known, reasons = self.store.refused(self._pipeline, step.name)
        if known == key.digest:
            return Verdict(False, key.digest, tuple(f"was not kept: {r}" for r in reasons))
        entries = self.store.entries(self._pipeline, step.name, most=_COMPARED)
        near = nearest(key, entries)
        if near is None:
            return Verdict(False, key.digest, ("no result of this step is kept",))
        return Verdict(False, key.digest, tuple(differences(key, near)))

    def _restore(self, step: PlannedStep, entry: Entry) -> bool:
        data = self.store.read(entry, _NOTEBOOK)
        if data is None:
            return False
        current = json.loads(step.notebook.read_text(encoding="utf-8"))
        words = {entry.data["run"]: self._run_id}
        for name, path in {**step.inputs, **step.outputs}.items():
            if name in entry.data["paths"]:
                words[entry.data["paths"][name]] = str(path)
        origin = {"run": entry.data["run"], "kept": entry.data["kept"]}
        made = restored(json.loads(data), _whole(current), words, origin)
        if made is None:
            return False
        for name, path in step.outputs.items():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.store.copy(entry, f"output {name}", path):
                return False
        write_atomic(step.output, notebook_text(made))
        return True

    def _keep(self, step: PlannedStep, running: _Running) -> list[str]:
        key = running.key
        seen = running.watch.seen()
        judgement = judge(self._project, step, key, read_evidence(running.evidence), seen)
        if judgement.reasons:
            return judgement.reasons
        executed = step.output.read_bytes()
        if executed_cells(json.loads(executed)) != key.parts["cells"]:
            return ["the notebook changed while it began"]
        run = self._run_id.encode("ascii")
        contents: dict[str, Path | bytes] = {_NOTEBOOK: executed}
        for name, path in step.outputs.items():
            if _holds(path, run):
                return [f"its output {name} names the run"]
            contents[f"output {name}"] = path
        paths = {n: str(p) for n, p in {**step.inputs, **step.outputs}.items()}
        data = {
            "pipeline": self._pipeline,
            "step": step.name,
            "run": self._run_id,
            "kept": time.time(),
            "parts": key.parts,
            "shown": key.shown,
            "titles": key.titles,
            "depends": judgement.depends,
            "paths": paths,
        }
        self.store.add(key.digest, data, contents)
        return []


def _holds(path: Path, word: bytes) -> bool:
    """Whether a file has the word in it."""
    tail = b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            if word in tail + block:
                return True
            tail = block[-len(word) :]
    return False


def _whole(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """A notebook whose cells have what later formats ask for."""
    cells = []
    for cell in notebook["cells"]:
        source = cell["source"]
        text = source if isinstance(source, str) else "".join(source)
        cells.append({**cell, "source": text, "metadata": dict(cell.get("metadata", {}))})
    return {**notebook, "cells": cells}
