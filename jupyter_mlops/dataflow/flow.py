"""What one cell does, as data: ``analyse``."""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass

from .execute import Executor
from .heap import Kind, Thing
from .machine import BUILTINS, Facts, Session, TooLarge
from .source import PythonCell, parse, to_python

__all__ = ["CellFlow", "analyse"]

_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class CellFlow:
    """What a cell reads, binds and may change.

    Names beginning with ``$`` stand for state outside the namespace (``$rng:numpy``,
    ``$environment``, ``$cwd``, ``$plot`` ...).  ``must_stores`` are certain; ``may_stores`` and
    ``may_mutate`` are possible, and kept apart so that evidence from the run may refute them.

    Attributes:
        reads: names whose value from before the cell it uses, functions' own reads included.
        must_stores: names that it binds whichever way it goes.
        may_stores: names that it binds on some way through it.
        may_mutate: names bound before it whose object it may change, through whatever alias.
        hidden: of ``may_mutate``, names of objects whose change nothing that looks at them shows
            (what a cache remembers, who hears of an object's end): no evidence refutes it.
        deletes: names that are gone after it.
        imports: top-level packages that it imports or uses.
        side_imports: packages that it imports which nobody knows to be free of side effects.
        functions: functions and classes it defines, with the globals that using them reads.
        files_read: paths it may read; ``paths.ANY`` stands for what the text does not tell.
        files_written: paths it may write, or write below.
        files_replaced: of those, files whose earlier content is gone.
        effects: process-wide state that it may change.
        unseeded: what drew random numbers that no cell had seeded, in words.
        setup_only: whether it holds nothing but imports and settings.
        reads_anything: whether it may read any name (``exec`` of unknown text, unknown magics).
        binds_anything: whether it may bind any name (the same, and ``import *``).
        error: why the cell could not be followed, if it could not.
    """

    reads: frozenset[str] = frozenset()
    must_stores: frozenset[str] = frozenset()
    may_stores: frozenset[str] = frozenset()
    may_mutate: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    deletes: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    side_imports: frozenset[str] = frozenset()
    functions: tuple[tuple[str, frozenset[str]], ...] = ()
    files_read: frozenset[str] = frozenset()
    files_written: frozenset[str] = frozenset()
    files_replaced: frozenset[str] = frozenset()
    effects: frozenset[str] = frozenset()
    unseeded: tuple[str, ...] = ()
    setup_only: bool = False
    reads_anything: bool = False
    binds_anything: bool = False
    error: str | None = None


def analyse(
    source: str,
    session: Session | None = None,
    *,
    failed: bool = False,
    bound: tuple[str, ...] = (),
) -> CellFlow:
    """Say what a cell does, given what is known of the cells before it.

    ``session`` is updated, so that passing the same one with each cell of a session in executed
    order lets functions, aliases and types be followed across cells; without one the cell is judged
    alone.  ``failed`` says that the cell raised: nothing in it is then certain.  ``bound`` are the
    names that it was seen to bind, which text alone may not tell (``exec``, ``import *``).

    Never raises for any text: what cannot be parsed is judged by the words in it.
    """
    session = Session() if session is None else session
    cell = to_python(source)
    executor = Executor(session)
    tree = parse(cell.text)
    error: str | None = None
    if tree is None:
        error = "the cell is not valid for this Python"
    else:
        try:
            _run(executor, cell, tree)
        except TooLarge:
            error = "the cell is too large to follow"
        except RecursionError:
            error = "the cell is nested too deeply to follow"
        except Exception as problem:  # A person's cell must never be able to break the slice.
            error = f"the cell could not be followed: {type(problem).__name__}"
    if error is not None:
        executor = Executor(session)
        _by_words(executor, cell.text)
    facts = executor.facts
    # What the cell itself bound first cannot have been changed from before it.
    fresh = facts.stored - facts.reads - session.names.keys()
    facts.mutated -= {name for name in fresh if not name.startswith("$")}
    dynamic = _apply_bound(executor, bound)
    must = set() if failed else executor.defined & facts.stored
    gone = set() if failed else executor.gone
    session.names = executor.names
    session.anything_bound |= facts.binds_anything
    return CellFlow(
        reads=_without_builtins(facts.reads, session),
        must_stores=frozenset(must),
        may_stores=frozenset(facts.stored - must - gone),
        may_mutate=frozenset(facts.mutated),
        hidden=frozenset(facts.hidden & facts.mutated),
        deletes=frozenset(gone),
        imports=frozenset(facts.packages - {""}),
        side_imports=frozenset(facts.side_imports),
        functions=_functions(executor, must),
        files_read=frozenset(facts.files_read),
        files_written=frozenset(facts.files_written),
        files_replaced=frozenset() if failed else frozenset(facts.files_replaced),
        effects=frozenset(facts.effects),
        unseeded=tuple(dict.fromkeys(what for what in facts.unseeded if what)),
        setup_only=tree is not None and _setup_only(tree, facts),
        reads_anything=facts.reads_anything,
        binds_anything=facts.binds_anything and not (dynamic and not facts.reads_anything),
        error=error,
    )


def _run(executor: Executor, cell: PythonCell, tree: ast.Module) -> None:
    if cell.magic is not None:
        executor.cell_magic(cell.magic)
    elif cell.isolated:
        executor.run_isolated(tree.body)
    else:
        executor.run_block(tree.body)
    for name in cell.stores:
        executor.store(name, frozenset({Thing(Kind.DATA)}))


def _by_words(executor: Executor, text: str) -> None:
    """Judge a cell that cannot be followed: every word may be read, bound and changed."""
    words = {w for w in _WORD.findall(text) if not keyword.iskeyword(w)} - BUILTINS
    touched = {thing for word in words for thing in executor.names.get(word, ())}
    for word in sorted(words):
        executor.read(word)
    executor.mutate(touched, deep=True)
    # Functions defined here read, whenever they are used, what the text mentions.
    thing = Thing(Kind.UNKNOWN, holds=touched, late=frozenset(words))
    for word in words:
        executor.names[word] = executor.names.get(word, frozenset()) | {thing}
    executor.facts.stored |= words
    executor.facts.effects.add("$unparsed")


def _apply_bound(executor: Executor, bound: tuple[str, ...]) -> bool:
    """Bind what the cell was seen to bind beyond its text; return whether there was any."""
    unseen = [
        name
        for name in bound
        if name not in executor.facts.stored and not name.startswith("_") and name.isidentifier()
    ]
    for name in unseen:
        executor.frame = None
        stars = executor.session.stars
        if stars and executor.facts.binds_anything and not executor.facts.reads_anything:
            thing = executor.session.module(f"{stars[-1]}.{name}")
        else:
            thing = executor.session.stranger
        executor.store(name, frozenset({thing}))
    return bool(unseen)


def _without_builtins(reads: set[str], session: Session) -> frozenset[str]:
    if session.anything_bound:
        return frozenset(reads)
    return frozenset(name for name in reads if name not in BUILTINS or name in session.names)


def _functions(executor: Executor, must: set[str]) -> tuple[tuple[str, frozenset[str]], ...]:
    found = []
    for name in sorted(must):
        late = frozenset().union(
            *(
                thing.late
                for thing in executor.names.get(name, ())
                if thing.kind in (Kind.FUNCTION, Kind.CLASS)
            )
        )
        if late:
            found.append((name, late - BUILTINS))
    return tuple(found)


def _setup_only(tree: ast.Module, facts: Facts) -> bool:
    """Whether a cell holds only imports, settings and their comments."""
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Constant)):
            continue
        if isinstance(node, ast.Assign) and isinstance(
            node.targets[0], (ast.Attribute, ast.Subscript)
        ):
            continue
        return False
    names = {name for name in facts.mutated if not name.startswith("$")}
    return not names
