"""Slices of sessions, ours and others': ``python benchmarks/slicing.py [--ours] [TABLE ...]``.

Every session is executed once under capture; each slicer says which cells the target needs; every
slice is replayed in a fresh process.  Sound: the replay gives the same value.  Precision and recall
count cells over all sessions, against the cells that the tables found needed by replay.

Beside this package, with and without run-time evidence, stand what is importable of: ipyflow
(traces the session as it runs), marimo's visitor (the names that a cell defines and refers to), and
undefined names by pyflakes (as Kale takes them).  For the last two a cell needs the latest earlier
cell that defines a name.  Without tables: the 49 first cases and all of our own.  ``--ours``
leaves the others out.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import platform
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jupyter_mlops.errors import UsageError
from jupyter_mlops.promotion.harness import Verdict, our_slice, totals, without_evidence
from jupyter_mlops.promotion.harness_forks import ForkRunner
from jupyter_mlops.promotion.harness_runs import Described, TimedOut
from jupyter_mlops.promotion.harness_table import Case, read_table

CASES = Path(__file__).parents[1] / "tests" / "dataflow" / "cases"
TABLES = ("micro", "language", "objects", "sessions", "libraries")
Names = Callable[[str], tuple[set[str], set[str]]]  # source -> (defined, referred to)


def by_names(case: Case, names: Names) -> list[int]:
    """The slice by names alone: back to the latest cell that defines each one."""
    found = []
    for cell in case.cells:
        try:
            found.append(names(cell))
        except Exception:  # It cannot read this cell.
            found.append((set(), set()))
    kept: set[int] = set()
    todo = [(case.target_index + 1, name) for name in case.names]
    while todo:
        before, name = todo.pop()
        cell = next((i for i in range(before - 1, -1, -1) if name in found[i][0]), None)
        if cell is not None and cell not in kept:
            kept.add(cell)
            todo.extend((cell, other) for other in found[cell][1])
    return sorted(kept)


def plain(source: str) -> str:
    """A cell as Python, by IPython itself."""
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(source)


def marimo_names(source: str) -> tuple[set[str], set[str]]:
    """What marimo's visitor sees."""
    from marimo._ast.compiler import compile_cell

    cell = compile_cell(plain(source), cell_id="0")
    return set(cell.defs), set(cell.refs)


def undefined_names(source: str) -> tuple[set[str], set[str]]:
    """pyflakes' undefined names, and the names bound at the cell's top level."""
    from pyflakes.checker import Checker
    from pyflakes.messages import UndefinedName

    tree = ast.parse(plain(source))
    missing = {m.message_args[0] for m in Checker(tree).messages if isinstance(m, UndefinedName)}
    bound = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.partition(".")[0])
    return bound, missing


def ipyflow_slice(case: Case, seconds: float = 60.0) -> list[int]:
    """Run the session in a fork under ipyflow and ask for the target's cell."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        answer: list[int] = []
        try:
            answer = _under_ipyflow(case)
        finally:
            os.write(write, json.dumps(answer).encode())
            os._exit(0)
    os.close(write)
    ready, _, _ = select.select([read], [], [], seconds)
    text = os.read(read, 1 << 16) if ready else b""
    os.close(read)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return list(json.loads(text or b"[]"))


def _under_ipyflow(case: Case) -> list[int]:
    import tempfile

    from ipyflow.shell.interactiveshell import IPyflowInteractiveShell

    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.chdir(tempfile.mkdtemp())
    sys.path.insert(0, "")
    shell: Any = IPyflowInteractiveShell.instance()
    counts = {}
    for number, cell in enumerate(case.cells[: case.target_index + 1]):
        counts[shell.execution_count] = number
        shell.run_cell(cell, store_history=True)
    from ipyflow.data_model.cell import Cell

    last = max(counts)
    kept = Cell.at_counter(last).make_slice()
    return sorted({counts[c.cell_ctr] for c in kept if c.cell_ctr in counts})


def slicers() -> dict[str, Callable[[Case, Sequence[Any]], Sequence[int]]]:
    """Those that can be had here; says which cannot."""
    found: dict[str, Callable[[Case, Sequence[Any]], Sequence[int]]] = {
        "ours": lambda case, events: our_slice(events, case.target_index, case.names),
        "ours, text alone": lambda case, events: without_evidence(
            events, case.target_index, case.names
        ),
    }
    others: dict[str, Callable[[Case, Sequence[Any]], Sequence[int]]] = {
        "ipyflow": lambda case, events: ipyflow_slice(case),
        "marimo": lambda case, events: by_names(case, marimo_names),
        "pyflakes": lambda case, events: by_names(case, undefined_names),
    }
    for name, slicer in others.items():
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed here: left out")
        else:
            found[name] = slicer
    return found


def measure(table: Path, runner: ForkRunner, tools: dict[str, Any]) -> None:
    """Print the figures of one table."""
    cases = [case for case in read_table(table) if case.runs_here and case.needed is not None]
    verdicts: dict[str, list[Verdict]] = {name: [] for name in tools}
    for case in cases:
        try:
            cells = case.cells[: case.target_index + 1]
            whole = runner.run(cells, case.target, capture=True, stop=False)
        except (TimedOut, UsageError) as error:
            print(f"{case.name}: {error}")
            continue
        replayed: dict[tuple[int, ...], Described] = {}
        for name, slicer in tools.items():
            kept = tuple(sorted(set(slicer(case, whole.events))))
            if kept not in replayed:
                sources = [case.cells[i] for i in kept]
                try:
                    replayed[kept] = runner.run(sources, case.target).value
                except TimedOut as error:  # it waits for what the slice left out
                    replayed[kept] = Described(error=str(error))
            sound = whole.value.same(replayed[kept])
            verdicts[name].append(Verdict(case.name, kept, case.needed or (), sound))
            if not sound and name.startswith("ours"):
                print(f"  {name}: {case.name} is not sound: {kept}, needed {case.needed}")
    for name, found in verdicts.items():
        sums = totals(found)
        print(
            f"| {table.stem} | {name} | {sums['sound']} of {sums['cases']} | "
            f"{sums['precision']:.3f} | {sums['recall']:.3f} |",
            flush=True,
        )


def main() -> None:
    """Measure the tables named, or all."""
    named = [Path(name) for name in sys.argv[1:] if name != "--ours"]
    tables = named or [CASES / f"{name}.json" for name in TABLES]
    tools = slicers()
    if "--ours" in sys.argv:
        tools = {name: slicer for name, slicer in tools.items() if name.startswith("ours")}
    print(f"Python {platform.python_version()}")
    print("| sessions | slicer | sound | precision | recall |\n|---|---|---|---|---|")
    runner = ForkRunner(timeout=60.0)
    begun = time.perf_counter()
    try:
        for table in tables:
            measure(table, runner, tools)
    finally:
        runner.close()
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
