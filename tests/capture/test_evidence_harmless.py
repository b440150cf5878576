"""Taking evidence changes nothing that a session computes, holds or lets go.

Whole sessions are executed in processes of their own, with the extension and without: what they
log must be the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

DRIVER = """
import contextlib, io, json, sys
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

cells, extension = json.load(sys.stdin)
shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
shell.colors = "nocolor"
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    if extension:
        shell.run_line_magic("load_ext", "jupyter_mlops")
        shell.run_cell("%%track\\npass", store_history=True)
        printed.truncate(0), printed.seek(0)
    for cell in cells:
        result = shell.run_cell(cell, store_history=True)
        error = result.error_in_exec or result.error_before_exec
        if error is not None:
            print("raised", type(error).__name__)
text = printed.getvalue()
taken = 0
if extension:
    from jupyter_mlops import magics
    taken = sum(e.evidence is not None for e in magics._loaded[shell].recorder.history)
import re
print(json.dumps([re.sub(r"\\[\\d+\\]", "[]", text), taken]))
"""

OBJECTS = [
    "import sys, weakref, gc, random\nlog = []\nrandom.seed(3)",
    "class Noisy:\n"
    "    def __init__(self, name): self.name = name\n"
    "    def __del__(self): log.append('del ' + self.name)\n"
    "    def __eq__(self, other): log.append('eq'); return self is other\n"
    "    def __hash__(self): log.append('hash'); return 1\n"
    "    def __getattr__(self, name): log.append('get ' + name); raise AttributeError(name)\n"
    "    def __repr__(self): log.append('repr'); return self.name\n"
    "    @property\n"
    "    def slow(self): log.append('slow'); return 1",
    "a = Noisy('a'); b = Noisy('b'); pair = [a, {'k': b}, (a,)]",
    "print(sys.getrefcount(a), sys.getrefcount(b), sys.getrefcount(pair))",
    "refs = [weakref.ref(a, lambda r: log.append('gone a')), weakref.ref(b)]",
    "del a\npair.clear()\nprint(log, refs[0]() is None, refs[1]() is b)",
    "b = None\nprint(log, refs[1]() is None)",
    "cycle = Noisy('c'); cycle.me = cycle; del cycle; print(gc.collect() >= 1, log[-1])",
    "def gen():\n    try:\n        yield 1\n        yield 2\n"
    "    finally:\n        log.append('closed')",
    "g = gen(); it = iter([1, 2, 3]); z = zip(it, it)",
    "print(next(g), next(z))",
    "del g\nprint(log[-1], list(it))",
    "print(random.random(), random.getstate()[1][:3])",
    "import functools\n@functools.lru_cache\ndef f(x): log.append('ran'); return x",
    "print(f(1), f(1))",
    "print(f.cache_info())",
    "x = 1 / 0",
    "print(sorted(n for n in dir() if not n.startswith('_')), log)",
    "class Late:\n    @functools.cached_property\n"
    "    def value(self): log.append('late'); return 5\n"
    "late = Late()",
    "print(vars(late), late.value, vars(late))",
    "s = {Noisy('in a set')}; n = log.count('hash')",
    "print(log.count('hash') - n, log.count('eq'))",
    # Our own, which end by themselves, are daemons: what a session would wait for is the same.
    "import threading\n"
    "print(sum(not t.daemon for t in threading.enumerate()), 'numpy' in sys.modules)",
    "print(sys.gettrace(), sys.getprofile(), gc.isenabled(), sys.getrecursionlimit())",
    "m = getattr(sys, 'monitoring', None)\n"
    "m and m.use_tool_id(4, 'mine')\nprint(m and m.get_tool(4) == 'mine')\nm and m.free_tool_id(4)",
    "async def co():\n    return 5\nprint(await co())",
    "o = [1]; p = o; q = {'o': o}\nprint(o is p, q['o'] is o)",
    "h = id(o); print(id(p) == h, id(q['o']) == h)",
]
ARRAYS = [
    "import numpy as np, pandas as pd, warnings, sys, weakref\nnp.random.seed(1)\n"
    "rng = np.random.default_rng(2)",
    "df = pd.DataFrame({'a': np.arange(5.0), 'b': list('vwxyz')})\n"
    "view = df['a']; big = np.eye(300)",
    "print(np.random.rand(2), rng.random(2))",
    "base = np.arange(6); part = base[2:]; part[0] = 9; print(base, part.base is base)",
    "print(sys.getrefcount(big), sys.getrefcount(df), sys.getrefcount(base))",
    "df.loc[0, 'a'] = 7; print(view[0], df['a'][0])",
    "r = weakref.ref(big); del big; print(r() is None)",
    "w = weakref.ref(df); kept = df; del df; print(w() is kept); del kept; print(w() is None)",
    "with warnings.catch_warnings(record=True) as seen:\n    warnings.simplefilter('always')\n"
    "    np.log(np.array([0.0]))\nprint(len(seen), len(warnings.filters))",
    "print(base.flags.writeable, part.flags.owndata, np.random.get_state()[2], rng.integers(100))",
    "s = pd.Series([3, 1, 2]); s.attrs['x'] = 1; t = s.sort_values()",
    "print(t.index.tolist(), s.attrs)",
    "from sklearn.linear_model import SGDRegressor\n"
    "model = SGDRegressor().fit(np.arange(6).reshape(3, 2), [1, 2, 3])\n"
    "print(model.coef_, np.random.rand())",
]


def session(cells: list[str], folder: Path, *, extension: bool) -> tuple[str, int]:
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps([cells, extension]),
        env=os.environ | {"PYTHONPATH": str(ROOT), "JUPYTER_MLOPS_AGENT": "off",
                          "PYTHONHASHSEED": "0", "IPYTHONDIR": str(folder / "ipython")},
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "jupyter_mlops:" not in done.stderr
    text, taken = json.loads(done.stdout.splitlines()[-1])
    return text, taken


@pytest.mark.parametrize("cells", [OBJECTS, ARRAYS], ids=["objects", "arrays"])
def test_a_session_is_the_same_with_evidence_and_without(cells: list[str], tmp_path: Path) -> None:
    plain, none = session(cells, tmp_path / "plain", extension=False)
    watched, taken = session(cells, tmp_path / "watched", extension=True)
    assert none == 0
    assert taken == len(cells) + 1
    assert plain.count("raised") == cells.count("x = 1 / 0")
    assert watched == plain
