"""Small sessions of cells, made up: every name keeps its kind, so nearly every cell runs.

A program is a list of cells and the name whose value is wanted.  It begins with cells that bind
each name; the cells after them rebind, change, share and use up what is there, in the ways that
notebooks do, alone or inside branches, loops, functions, strings and cell magics.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

__all__ = ["Program", "programs"]

# kind -> the names of that kind, and the cell that binds them all at first
_NAMES = {
    "L": ("l1", "l2", "l3"),
    "D": ("d1", "d2"),
    "N": ("n1", "n2"),
    "I": ("it1", "it2"),
    "O": ("o1", "o2"),
    "F": ("f1", "f2"),
    "A": ("a1", "a2"),
    "T": ("t1", "t2"),
    "P": ("p1", "p2"),
    "G": ("g1",),
    "S": ("s1", "s2"),
}
_START = (
    "import contextlib, copy, functools, itertools, random\nimport numpy as np\n"
    "import pandas as pd",
    "l1 = [1, 2, 3]",
    "l2 = [[4], [5]]",
    "l3 = l1",
    "d1 = {'k': [1], 'm': 2}",
    "d2 = {'k': l1, 'm': 3}",
    "n1, n2 = 1, 2",
    "it1 = iter([1, 2, 3, 4])",
    "it2 = (v for v in l1)",
    "class Box:\n    made = 0\n    items = []\n    def __init__(self, v):\n        self.v = v\n"
    "        self.log = []\n    def put(self, v):\n        self.log.append(v)\n"
    "        return self.log\n"
    "    def __len__(self):\n        self.log.append('len')\n        return len(self.log)\n"
    "    @property\n    def twice(self):\n        self.v = [self.v]\n        return self.v",
    "o1 = Box(l1)",
    "o2 = Box([0])",
    "def f1(v):\n    return v",
    "def f2(v):\n    return [v, n1]",
    "a1 = np.arange(4)",
    "a2 = a1[1:3]",
    "t1 = pd.DataFrame({'x': [1, 2, 3], 'y': [4, 5, 6]})",
    "t2 = t1.head(2).copy()",
    "p1 = functools.partial(l1.append, 7)",
    "p2 = l2.append",
    "g1 = np.random.default_rng(3)",
    "np.random.seed(1)\nrandom.seed(2)",
    "s1, s2 = {1, 2}, {3}",
)
_WRAPS = (
    "{0}",
    "{0}",
    "{0}",
    "if n1 > 1:\n    {1}",
    "if n2 > 1:\n    {1}\nelse:\n    l3.append(0)",
    "for _ in range(2):\n    {1}",
    "%%time\n{0}",
    "%%capture said\n{0}",
    "try:\n    {1}\nexcept ValueError:\n    pass",
    "with contextlib.nullcontext():\n    {1}",
)
# One statement a line; a hole such as {L} takes any name of that kind.
_STATEMENTS = [
    line.replace("\\n", "\n")
    for line in (Path(__file__).parent / "cases" / "statements.txt").read_text().splitlines()
]
_HOLE = re.compile(r"\{([A-Z])\}")


@dataclass(frozen=True)
class Program:
    """``cells`` in the order in which they run, and the name that is wanted after them."""

    cells: tuple[str, ...]
    target: str

    def __repr__(self) -> str:
        lines = [f"[{i}] {cell}" for i, cell in enumerate(self.cells[len(_START) :], len(_START))]
        return "\n".join(["", *lines, f"-> {self.target}"])


@st.composite
def _statement(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(_STATEMENTS))
    return _HOLE.sub(lambda hole: draw(st.sampled_from(_NAMES[hole[1]])), text)


@st.composite
def _cell(draw: st.DrawFn) -> str:
    body = "\n".join(draw(st.lists(_statement(), min_size=1, max_size=2)))
    wrap = draw(st.sampled_from(_WRAPS))
    if "await" in body or "global" in body:
        wrap = "{0}"
    return wrap.replace("{0}", body).replace("{1}", body.replace("\n", "\n    "))


@st.composite
def programs(draw: st.DrawFn, length: int = 10) -> Program:
    """Programs of up to ``length`` cells after those that bind the names."""
    cells = draw(st.lists(_cell(), min_size=1, max_size=length))
    names = sorted({name for group in _NAMES.values() for name in group})
    return Program((*_START, *cells), draw(st.sampled_from(names)))
