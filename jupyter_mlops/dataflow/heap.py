"""The objects of a notebook session, as far as the text of its cells tells of them.

A ``Thing`` stands for all objects made at one place: what kind it is, what it may hold, and which
names a later use of it reads (a function's globals).  A value is the set of things that an
expression may be.  Mutating one thing mutates it for every name that reaches it: that is how
aliases, views and containers are followed.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

__all__ = [
    "EMPTY",
    "Frame",
    "FunctionNode",
    "Kind",
    "Thing",
    "Value",
    "elements",
    "kinds",
    "reach",
    "scalar",
    "text_of",
]

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Kind(enum.Enum):
    """What is known of an object."""

    SCALAR = "scalar"  # number, string, None ...: cannot change
    PATH = "path"  # pathlib.Path: cannot change, names a file
    CONTAINER = "container"  # a list, dict, set or tuple whose elements are known
    DATA = "data"  # may change, can be gone over again and again
    FRAME = "frame"  # of pandas, polars, pyarrow
    ARRAY = "array"  # of NumPy
    ESTIMATOR = "estimator"  # of scikit-learn and its kin
    PLOT = "plot"  # a figure or axes
    ITERATOR = "iterator"  # used up by going over it
    HANDLE = "handle"  # a file, connection or generator of numbers: every use changes it
    LOGGER = "logger"
    MODULE = "module"
    IMPORTED = "imported"  # a function or class from a module
    FUNCTION = "function"  # defined in the notebook
    METHOD = "method"  # bound to what it holds, its name is the text
    CLASS = "class"  # defined in the notebook
    INSTANCE = "instance"  # of such a class
    UNKNOWN = "unknown"


# A deep change of what holds these does not change them themselves.
_FIXED = frozenset(
    {Kind.SCALAR, Kind.PATH, Kind.MODULE, Kind.IMPORTED, Kind.FUNCTION, Kind.CLASS, Kind.LOGGER}
)


@dataclass(eq=False, slots=True)
class Frame:
    """A local scope: the names bound in it, and the scopes around it."""

    own: frozenset[str]
    parent: Frame | None = None
    names: dict[str, Value] = field(default_factory=dict)
    module_names: frozenset[str] = frozenset()  # declared ``global``
    comprehension: bool = False
    made: list[Thing] = field(default_factory=list)  # functions that close over it
    class_body: bool = False  # its names are not seen by the functions defined in it


@dataclass(eq=False, slots=True)
class Thing:
    """All objects made at one place.

    Attributes:
        holds: what one step (attribute, element, closure) may lead to.
        over: what an iterator goes over: it changes with these, and they are none of its elements.
        opaque: whether there is more inside than ``holds`` tells; its parts are then itself.
        dotted: import path of a module, of an imported name, or of an instance's class.
        text: a string's or path's text, unknown parts as ``paths.ANY``.
        late: global names that a later use reads (functions and methods).
        random: whether using it may draw from NumPy's global generator.
    """

    kind: Kind
    holds: set[Thing] = field(default_factory=set)
    opaque: bool = True
    dotted: str = ""
    text: str | None = None
    late: frozenset[str] = frozenset()
    random: bool = False
    node: FunctionNode | ast.ClassDef | None = None
    frame: Frame | None = None
    members: dict[str, Value] = field(default_factory=dict)  # a class's methods and attributes
    bases: tuple[Thing, ...] = ()
    bundle: bool = False  # a fresh tuple of a library: its parts are objects of their own
    over: set[Thing] = field(default_factory=set)
    view: bool = False  # a column or slice of the table that it holds
    cached: bool = False  # a function that remembers what it returned
    meta: Value = frozenset()  # a class's class
    # What going on with an iterator or coroutine runs, given the machine that works on the cell.
    resume: Callable[[Any], Value] | None = None

    @property
    def fixed(self) -> bool:
        """Whether it stays as it is when what holds it is changed in depth."""
        return self.kind in _FIXED

    @property
    def package(self) -> str:
        """The top-level package of ``dotted``."""
        return self.dotted.partition(".")[0]


Value = frozenset[Thing]
EMPTY: Value = frozenset()


def reach(things: Iterable[Thing], *, through_views: bool = True) -> set[Thing]:
    """Return the things and everything they may lead to.

    Without ``through_views`` a column does not lead to its table: adding a column to a table
    leaves the columns taken from it before as they were.
    """
    found: set[Thing] = set()
    stack = list(things)
    while stack:
        thing = stack.pop()
        if thing not in found:
            found.add(thing)
            if through_views or not thing.view:
                stack.extend(thing.holds)
            stack.extend(thing.bases)
            stack.extend(thing.over)
    return found


def elements(value: Iterable[Thing]) -> Value:
    """Return what an attribute or an element of the value may be."""
    found: set[Thing] = set()
    for thing in value:
        found |= thing.holds
        if thing.opaque:
            found.add(thing)
        if thing.kind is Kind.INSTANCE:
            for base in thing.bases:
                found |= {t for t in reach([base]) if not t.fixed}
    return frozenset(found)


@lru_cache(maxsize=4096)
def scalar(text: str | None = None) -> Value:
    """A number or a string (with its text): it cannot change, so equal ones are one."""
    return frozenset({Thing(Kind.SCALAR, text=text)})


def kinds(value: Iterable[Thing]) -> set[Kind]:
    """The kinds that the value may be of."""
    return {thing.kind for thing in value}


def text_of(value: Value) -> str | None:
    """The one text that the value has, if it is a string or a path with known text."""
    texts = {thing.text for thing in value}
    return texts.pop() if len(texts) == 1 else None
