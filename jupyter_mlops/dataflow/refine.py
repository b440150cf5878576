"""What the text says of a cell, corrected by what was seen when it ran.

The rule: evidence refutes only where it is complete, and adds where it saw more.  A name that was
seen unchanged is not changed, whatever unknown call it was given to; one that was seen changed is,
whatever the text says.  Functions that ran read what they load; where it is known which ran, those
that did not read nothing.  What was seen of files, random states and settings is only added, except
that a random state seen unchanged was not drawn from.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace

from ..model.events import CellEvent
from .evidence import Evidence, evidence_of
from .flow import CellFlow
from .paths import normal

__all__ = ["MODULE", "refine", "refine_all"]

MODULE = "$module:"
_WORD = re.compile(r"[^\W\d]\w*")
_UP = 3  # Folders above the working directory that a relative path may begin in.


def refine_all(events: Sequence[CellEvent], flows: Sequence[CellFlow]) -> list[CellFlow]:
    """Correct the flows of a session's cells, one for each event in executed order."""
    found = list(flows)
    seqs = [event.seq for event in events]
    seen = [evidence_of(event) for event in events]
    stateful = frozenset().union(*(e.modules for e in seen if e is not None))
    for index, (event, evidence) in enumerate(zip(events, seen, strict=True)):
        if evidence is None:
            continue
        found[index] = refine(found[index], evidence, event.source)
    for index, (event, evidence) in enumerate(zip(events, seen, strict=True)):
        if evidence is None:
            continue
        for name, seq in evidence.drifted:
            # Nobody looked between that cell and this one: any of them may have done it.
            for earlier in range(index):
                if seq < seqs[earlier] < event.seq and not _saw_unchanged(seen[earlier], name):
                    flow = found[earlier]
                    found[earlier] = replace(flow, may_mutate=flow.may_mutate | {name})
    if stateful:
        found = [_with_modules(flow, stateful) for flow in found]
    return found


def refine(flow: CellFlow, evidence: Evidence, source: str) -> CellFlow:
    """Correct one cell's flow by its evidence; ``source`` is its text."""
    reads = (flow.reads - _not_read(flow, evidence, source)) | evidence.loads
    changed = evidence.mutated | _changed_unseen(reads, flow, evidence)
    quiet = {
        name for name in evidence.watched if name.startswith("$rng:") and name not in evidence.rng
    }
    must, may = flow.must_stores, flow.may_stores
    binds_anything = flow.binds_anything
    if evidence.rebound is not None:
        # What is bound to another object was bound; what is bound to the same one, and that is as
        # it was, might as well not have been.
        must |= evidence.rebound
        may = (may - evidence.unchanged) - must
        binds_anything = False
    may_mutate = (
        (flow.may_mutate - (evidence.unchanged - flow.hidden) - quiet) | changed | evidence.rng
    )
    # A random state is drawn from as it was: what set it before is needed, unless this cell set it.
    drawn = evidence.rng - flow.must_stores
    return replace(
        flow,
        reads=reads | drawn,
        must_stores=must,
        may_stores=may,
        binds_anything=binds_anything,
        may_mutate=may_mutate | {MODULE + name for name in evidence.modules},
        files_read=flow.files_read | _spelled(evidence.files_read, evidence.cwd),
        files_written=flow.files_written | _spelled(evidence.files_written, evidence.cwd),
        files_replaced=flow.files_replaced | _replaced(flow, evidence),
        effects=flow.effects | evidence.ambient,
    )


def _not_read(flow: CellFlow, evidence: Evidence, source: str) -> set[str]:
    """Names that only functions read which did not run.

    A name that the cell's own text mentions, in whatever way, is read.
    """
    if evidence.functions is None or flow.reads_anything or flow.error is not None:
        return set()
    words = set(_WORD.findall(source))
    return {
        name
        for name in flow.reads
        if name not in words and name not in evidence.loads and not name.startswith("$")
    }


def _changed_unseen(reads: frozenset[str], flow: CellFlow, evidence: Evidence) -> set[str]:
    """Names whose state nobody can see and that may have changed."""
    found = {name for name in evidence.consumed if name in reads}
    touched = found | (flow.may_mutate & evidence.linked)
    for group in evidence.aliases:
        if group & touched:
            found |= group & (evidence.linked | evidence.consumed)
    return found


def _saw_unchanged(evidence: Evidence | None, name: str) -> bool:
    return evidence is not None and name in evidence.unchanged


def _with_modules(flow: CellFlow, stateful: frozenset[str]) -> CellFlow:
    """The state of the project's modules is read by whoever uses their package."""
    used = {MODULE + name for name in stateful if name.partition(".")[0] in flow.imports}
    return replace(flow, reads=flow.reads | used) if used else flow


def _replaced(flow: CellFlow, evidence: Evidence) -> set[str]:
    """Other spellings of the files whose earlier content is gone by what the text says."""
    found = set[str]()
    for path in evidence.files_written:
        spellings = _spelled(frozenset({path}), evidence.cwd)
        if spellings & flow.files_replaced:
            found |= spellings
    return found


def _spelled(paths: frozenset[str], cwd: str) -> set[str]:
    """Paths as they are, and as a cell's text may name them from its working directory."""
    found = {normal(path) for path in paths}
    if cwd:
        for path in paths:
            relative = normal(os.path.relpath(path, cwd))
            if relative.split("/").count("..") <= _UP:
                found.add(posixpath.normpath(relative))
    return found
