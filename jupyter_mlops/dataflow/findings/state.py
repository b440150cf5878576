"""The names of a session while its executions are gone through, as versions."""

from __future__ import annotations

import ast
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace

from .changes import Change, walk_here
from .execution import Execution
from .statements import Function, Statement
from .versions import Version, derive, key_of

__all__ = ["State"]


class State:
    """What every name is by now; ``take`` goes through one execution more."""

    def __init__(self, *, seen: bool) -> None:
        self.names: dict[str, Version] = {}
        self.modules: set[str] = set()
        self._seen = seen
        self._functions: dict[str, Function] = {}
        self._runs: list[Execution] = []
        self._contents: dict[tuple[str, str], Hashable] = {}
        self._made: dict[Hashable, str] = {}

    def take(self, run: Execution) -> None:
        """Give an execution what it read, and take what it wrote."""
        flow, event, code = run.flow, run.event, run.code
        self._runs.append(run)
        bound = {name for name in event.bound if name.isidentifier()}
        possible = flow.may_stores & bound if self._seen else flow.may_stores
        stores = (flow.must_stores | possible | bound) if event.status == "ok" else bound
        before = dict(self.names)
        run.reads = {name: before.get(name) for name in sorted(flow.reads)}
        run.changes = tuple(self._changes(run)) if event.status == "ok" else ()
        run.bases = {c.name: before[c.name] for c in run.changes if c.name in before}
        for name in sorted(stores):
            self._bind(run, name, before)
        for change in run.changes:
            if change.name not in stores:
                self._change(run, change, before)
        for name in flow.deletes:
            self.names.pop(name, None)
        for name in sorted(flow.may_mutate):
            if name.startswith("$rng"):
                parent = self.names.get(name)
                self.names[name] = Version(name, run.index, ("drawn", run.index), parent)
        for name in stores:
            self.modules.discard(name)
            self._functions.pop(name, None)
        self.modules |= code.imports.keys() & stores
        self._functions |= code.functions

    def _bind(self, run: Execution, name: str, before: Mapping[str, Version]) -> None:
        making = run.code.making(name)
        key = self._known(run, name, self._value(run, name, making, before))
        old = before.get(name)
        parent = old if any(name in s.loads for s in making) else None
        version = Version(name, run.index, key, parent)
        self.names[name] = run.writes[name] = version

    def _change(self, run: Execution, change: Change, before: Mapping[str, Version]) -> None:
        name = change.name
        old = self.names.get(name) or Version(name, -1, ("unknown", name))
        making = run.code.making(change.target or name) or run.code.making(name)
        if change.columns is not None:
            key = self._value(run, name, making, before)
        else:
            # What gives the same again and again does not depend on having been done.
            same = name if change.again is False else None
            key = self._known(run, name, self._value(run, name, making, before, without=same))
        last = next(
            (
                link[1]
                for link in reversed(old.links)
                if change.columns is None or link[2] is None or link[2] & change.columns
            ),
            old.key,
        )
        if last != key:
            old = derive(old, run.index, key, change.columns)
        self.names[name] = run.writes[name] = old

    def _known(self, run: Execution, name: str, key: Hashable) -> Hashable:
        """The number of a value, by its fingerprint where there is one."""
        prints = (run.event.evidence or {}).get("fingerprints")
        found = prints.get(name) if isinstance(prints, Mapping) else None
        if not isinstance(found, str):
            return key
        if (name, found) not in self._contents:
            # The same code on the same inputs may have made something else before.
            other = self._made.setdefault(key, found) != found
            self._contents[name, found] = ("content", name, found) if other else key
        return self._contents[name, found]

    def _value(
        self,
        run: Execution,
        name: str,
        making: tuple[Statement, ...],
        before: Mapping[str, Version],
        without: str | None = None,
    ) -> Hashable:
        """The number of the value that these statements make of their inputs."""
        salt = run.index if run.flow.unseeded else None
        if not making:
            return hash((run.event.source, salt))
        if name in run.code.imports:
            return ("import", run.code.imports[name])
        loads = frozenset().union(*(s.loads for s in making))
        late = run.flow.reads - run.code.loads  # by functions that it calls, and random states
        inputs = []
        for read in sorted(run.flow.reads & (loads | late)):
            if read in (without, "$plot"):
                continue
            version = before.get(read)
            columns = run.code.columns(read, making) if read in loads else None
            inputs.append((read, None if version is None else key_of(version, columns)))
        return hash((tuple(s.text for s in making), tuple(inputs), salt))

    def _changes(self, run: Execution) -> list[Change]:
        """What it certainly changed, aliases and functions that it called included."""
        evidence = run.event.evidence or {}
        unchanged = set(map(str, evidence.get("unchanged") or ()))
        mutated = set(map(str, evidence.get("mutated") or ()))
        known = {n for n in run.flow.may_mutate if not n.startswith("$")} | mutated
        found: dict[str, Change] = {}
        direct = (c for s in run.code.body for c in s.changes)
        for change in (*direct, *self._called(run)):
            name = change.name
            # Bound here as another name for what was before: ``b = a``, and then ``b`` is changed.
            for new, old in run.code.aliases:
                if new == name and name not in known and old in known and old not in unchanged:
                    found.setdefault(old, replace(change, name=old, via=name, target=name))
            if name in known and name not in unchanged and name not in self.modules:
                found[name] = _both(found[name], change) if name in found else change
        for change in list(found.values()):
            for other in sorted(self._aliases(change.name)):
                if other not in found and other not in unchanged:
                    found[other] = replace(change, name=other, via=change.name, target=change.name)
        for name in sorted(mutated - found.keys() - self.modules):
            if name in self.names and not name.startswith("_"):
                line, column = run.code.find(name)
                found[name] = Change(name, None, None, "seen", line, column)
        return list(found.values())

    def _called(self, run: Execution) -> Iterator[Change]:
        """What functions of the notebook change that the cell calls."""
        for statement in run.code.body:
            if isinstance(statement.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            for node in walk_here(statement.node):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                    continue
                name = node.func.id
                function = run.code.functions.get(name) or self._functions.get(name)
                for change in function.changes if function is not None else ():
                    changed = function.given(change.name, node) if function else None
                    if changed is not None:
                        yield replace(
                            change, name=changed, line=node.lineno, column=node.col_offset + 1,
                            via=f"{name}()", target=None,
                        )  # fmt: skip

    def _aliases(self, name: str) -> set[str]:
        """Names that are bound to the same object by ``a = b``."""
        mine = self.names.get(name)
        if mine is None:
            return set()
        found = set()
        for other, theirs in self.names.items():
            if other == name:
                continue
            for new, old in ((theirs, mine), (mine, theirs)):
                if new.writer < 0:
                    continue
                writer = self._runs[new.writer]
                if (new.name, old.name) in writer.code.aliases and old.writer <= new.writer:
                    found.add(other)
        return found


def _both(one: Change, two: Change) -> Change:
    columns = None if one.columns is None or two.columns is None else one.columns | two.columns
    first = one if one.again is not False else two
    return replace(first, columns=columns)
