"""Which functions of the notebook ran in a cell, and which of its names they may have read.

With ``sys.monitoring`` (Python 3.12 on): a local event on the code objects of the notebook's own
functions, taken away at a function's first call in a cell, so that a call costs nothing more after
it.  The code objects come from the audit event that every statement's execution raises; nothing is
patched.  The tool's number is held only while a cell with such functions runs, and one that
somebody else has is never touched.
"""

from __future__ import annotations

import contextlib
import dis
import os
import re
import sys
import types
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import files
from .namespace import Namespace

__all__ = ["RanFunctions", "Running"]

_IDS = (4, 3)  # Those that no kind of tool has by convention.
_MOST = 3000  # Code objects that are watched.
_OPTIMIZED = 0x1  # CO_OPTIMIZED: a function, not a class's body.
_TELLS = re.compile(r"\bdef\b|\blambda\b|\bclass\b")
_MONITORS = re.compile(r"\bmonitoring\b")
# They run functions in other processes, or not as Python; or they read one without running it.
_ELSEWHERE = ("numba", "ray", "distributed", "pyspark", "torch._dynamo", "tensorflow", "jax")
_PICKLED = re.compile(r"\b(?:\w*pickle\w*|dill|dumps?|inspect)\b")
_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})


@dataclass(slots=True)
class Running:
    """A cell that is being watched; ``fired`` are the code objects that ran."""

    seq: int
    before: Namespace
    fired: dict[int, _Code] = field(default_factory=dict)
    loads: set[str] = field(default_factory=set)
    complete: bool = True
    tool: int | None = None


@dataclass(slots=True)
class _Code:
    """A function's code: where it was defined, and the global names that it loads."""

    code: weakref.ref[types.CodeType]
    seq: int
    name: str
    loads: frozenset[str] | None = None


class RanFunctions:
    """Watches the functions of one shell's notebook."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._codes: dict[int, _Code] = {}
        self._running: Running | None = None
        self._monitoring: Any = getattr(sys, "monitoring", None)
        self._processes = _process_count()
        # Functions of cells that ran before are known as far as a name leads to them.
        self._earlier = not any(_TELLS.search(text) for text in _history(shell))
        self._forked = False
        for value in list(shell.user_ns.values()):
            self.note(value, 0)

    def begin(self, seq: int, source: str, before: Namespace) -> Running:
        """A cell begins; ``before`` are the names that there are."""
        running = Running(seq, before)
        known = self._monitoring is not None and self._earlier and self._running is None
        running.complete = known and not _PICKLED.search(source)
        if self._running is not None:  # A cell in a cell: what ran in which is not to be told.
            self._running.complete = False
            return running
        if self._monitoring is None or _MONITORS.search(source):
            running.complete = False
            return running
        self._running = running
        files.hear_code(self._hear)
        for entry in list(self._codes.values()):
            self._arm(running, entry)
        return running

    def end(self, running: Running) -> tuple[tuple[tuple[int, str], ...] | None, set[str]]:
        """``(functions, loads)``: see ``dataflow.evidence.Evidence``."""
        if self._running is not running:
            return None, set()
        self._running = None
        files.hear_code(None)
        self._free(running)
        self._forked |= _process_count() != self._processes
        if self._forked or any(name in sys.modules for name in _ELSEWHERE):
            running.complete = False
        if len(self._codes) >= _MOST or not running.complete:
            return None, running.loads
        return tuple(sorted({(c.seq, c.name) for c in running.fired.values()})), running.loads

    def note(self, value: Any, seq: int) -> None:
        """A value that is bound: functions that came to be without a cell's text saying so."""
        kind = type(value)
        if kind is types.FunctionType and value.__globals__ is self._shell.user_ns:
            self._add(value.__code__, seq)

    def close(self) -> None:
        """Nothing is watched any more."""
        if self._running is not None:
            self._free(self._running)
            self._running = None
        files.hear_code(None)
        self._codes.clear()

    def _hear(self, code: Any) -> None:
        """A piece of code is about to be executed: a statement of the cell, or anything else."""
        running = self._running
        if running is None or type(code) is not types.CodeType or not self._is_cell(code):
            return
        for found in self._nested(code, running.seq):
            self._arm(running, found)

    def _is_cell(self, code: types.CodeType) -> bool:
        names = getattr(getattr(self._shell, "compile", None), "_filename_map", None)
        if type(names) is dict and code.co_filename in names:
            return True
        return code.co_filename.startswith("<ipython-input")

    def _nested(self, code: types.CodeType, seq: int) -> list[_Code]:
        found, todo = [], [code]
        while todo:
            for constant in todo.pop().co_consts:
                if type(constant) is types.CodeType:
                    todo.append(constant)
                    entry = self._add(constant, seq)
                    if entry is not None:
                        found.append(entry)
        return found

    def _add(self, code: types.CodeType, seq: int) -> _Code | None:
        known = self._codes.get(id(code))
        if known is not None and known.code() is code:
            return known
        if len(self._codes) >= _MOST or not code.co_flags & _OPTIMIZED:
            return None
        codes, key = self._codes, id(code)

        def forget(ref: weakref.ref[types.CodeType]) -> None:
            entry = codes.get(key)
            if entry is not None and entry.code is ref:
                del codes[key]

        entry = _Code(weakref.ref(code, forget), seq, code.co_qualname)
        codes[key] = entry
        return entry

    def _arm(self, running: Running, entry: _Code) -> None:
        code = entry.code()
        if code is None or (running.tool is None and not self._hold(running)):
            running.complete &= code is None
            return
        events = self._monitoring.events
        self._monitoring.set_local_events(running.tool, code, events.PY_START | events.PY_RESUME)

    def _hold(self, running: Running) -> bool:
        """Take a number that nobody has; whether there is one."""
        monitoring = self._monitoring
        for number in _IDS:
            if monitoring.get_tool(number) is None:
                with contextlib.suppress(ValueError):  # Somebody was faster.
                    monitoring.use_tool_id(number, "jupyter_mlops")
                    running.tool = number
                    events = monitoring.events
                    for event in (events.PY_START, events.PY_RESUME):
                        monitoring.register_callback(number, event, self._fired)
                    return True
        return False

    def _free(self, running: Running) -> None:
        tool, monitoring = running.tool, self._monitoring
        if tool is None or monitoring.get_tool(tool) != "jupyter_mlops":
            return
        for entry in list(self._codes.values()):
            code = entry.code()
            if code is not None:
                monitoring.set_local_events(tool, code, 0)
        for event in (monitoring.events.PY_START, monitoring.events.PY_RESUME):
            monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)
        running.tool = None

    def _fired(self, code: types.CodeType, offset: int) -> None:
        """A function of the notebook begins, or a generator goes on: in whatever thread."""
        running = self._running
        entry = self._codes.get(id(code))
        if running is None or entry is None:
            return
        try:
            self._monitoring.set_local_events(running.tool, code, 0)
            running.fired[id(code)] = entry
            if entry.loads is None:
                entry.loads = frozenset(
                    step.argval for step in dis.get_instructions(code) if step.opname in _LOADS
                )
            running.loads |= _old(entry.loads, running.before, self._shell.user_ns)
        except Exception:
            running.complete = False


def _old(names: frozenset[str], before: Namespace, namespace: Mapping[str, Any]) -> set[str]:
    """Those that are still bound as they were before the cell."""
    return {n for n in names if n in namespace and before.had(n, namespace[n])}


def _process_count() -> tuple[int, str]:
    """Changes when a process is started by ``multiprocessing`` or a library that builds on it."""
    module: Any = sys.modules.get("multiprocessing.process")
    return os.getpid(), repr(getattr(module, "_process_counter", "count(1)"))


def _history(shell: Any) -> list[str]:
    manager = getattr(shell, "history_manager", None)
    return [t for t in getattr(manager, "input_hist_raw", ()) if isinstance(t, str)]
