"""What people run in kernels works in a forked one: pools, native threads, async cells, widgets."""

from __future__ import annotations

import pytest

from .conftest import Kernel

_POOL = "import multiprocessing as mp\n"

CASES = {
    "threads": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(lambda n: n * n, range(100))))
""",
    "fork": _POOL
    + """
with mp.get_context("fork").Pool(2) as pool:
    print(sum(pool.map(int, range(10))))
""",
    "spawn": _POOL
    + """
with mp.get_context("spawn").Pool(2) as pool:
    print(sum(pool.map(int, range(10))))
""",
    "loky": """
from joblib import Parallel, delayed
print(sum(Parallel(n_jobs=2)(delayed(abs)(-n) for n in range(10))))
from joblib.externals.loky import get_reusable_executor
get_reusable_executor().shutdown(wait=True)
""",
    "hist_gradient_boosting": """
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
X = np.random.default_rng(0).normal(size=(2000, 5))
model = HistGradientBoostingRegressor(max_iter=10).fit(X, X[:, 0])
print(model.score(X, X[:, 0]) > 0.3)
""",
    "random_forest": """
import numpy as np
from sklearn.ensemble import RandomForestRegressor
X = np.random.default_rng(0).normal(size=(500, 5))
print(RandomForestRegressor(20, n_jobs=2).fit(X, X[:, 0]).score(X, X[:, 0]) > 0.5)
""",
    "blas": """
import numpy as np
a = np.random.default_rng(0).normal(size=(600, 600))
print(np.allclose(a @ np.linalg.inv(a), np.eye(600), atol=1e-6))
""",
    "arrow_threads": """
import pyarrow as pa, pyarrow.parquet as pq, pandas as pd
table = pa.table({str(n): list(range(5000)) for n in range(8)})
pq.write_table(table, "t.parquet")
read = pd.read_parquet("t.parquet")
print(read.to_numpy().sum() == table.to_pandas(use_threads=True).sum().sum())
""",
    "xgboost": """
import numpy as np, xgboost
X = np.random.default_rng(0).normal(size=(500, 5))
print(xgboost.XGBRegressor(n_estimators=5, n_jobs=2).fit(X, X[:, 0]).predict(X).shape)
""",
    "lightgbm": """
import numpy as np, lightgbm
X = np.random.default_rng(0).normal(size=(500, 5))
print(lightgbm.LGBMRegressor(n_estimators=5, n_jobs=2, verbose=-1).fit(X, X[:, 0]).n_features_)
""",
    "await": """
import asyncio
await asyncio.sleep(0.01)
print(len(await asyncio.gather(*[asyncio.sleep(0, n) for n in range(3)])))
""",
    "subprocess": """
import subprocess, sys
print(subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout)
""",
    "native_output": """
import os
os.write(1, b"from the descriptor\\n")
import time; time.sleep(0.3)
""",
    "sqlite_and_ssl": """
import sqlite3, ssl
print(sqlite3.connect(":memory:").execute("select 1").fetchone(), len(ssl.RAND_bytes(8)))
""",
    "threads_are_back": """
import os, threadpoolctl, numpy
want = len(os.sched_getaffinity(0))
pools = threadpoolctl.threadpool_info()
print({p["num_threads"] for p in pools} == {want}, len(pools) > 1)
""",
}
EXPECTED = {
    "threads": "328350",
    "fork": "45",
    "spawn": "45",
    "loky": "45",
    "hist_gradient_boosting": "True",
    "random_forest": "True",
    "blas": "True",
    "arrow_threads": "True",
    "xgboost": "(500,)",
    "lightgbm": "5",
    "await": "3",
    "subprocess": "42",
    "native_output": "from the descriptor",
    "sqlite_and_ssl": "(1,) 8",
    "threads_are_back": "True True",
}


@pytest.mark.parametrize("name", CASES)
def test_works_in_a_forked_kernel(kernel: Kernel, name: str) -> None:
    assert kernel.run(CASES[name]) == EXPECTED[name]


def test_widgets_talk_over_comms(kernel: Kernel) -> None:
    kernel.run("import ipywidgets\nslider = ipywidgets.IntSlider(3)\nseen = []")
    kernel.run("slider.observe(lambda change: seen.append(change['new']), 'value')")
    ident = kernel.run("print(slider.comm.comm_id)")
    content = {"comm_id": ident, "data": {"method": "update", "state": {"value": 8}}}
    session = kernel.client.session
    kernel.client.shell_channel.send(session.msg("comm_msg", content))
    assert kernel.run("print(seen, slider.value)") == "[8] 8"


def test_standard_input_is_asked_for(kernel: Kernel) -> None:
    def answer(message: object) -> None:
        kernel.client.input("forty-two")

    assert kernel.run("print(input('? '))", allow_stdin=True, stdin_hook=answer) == "forty-two"


def test_the_debugger_answers(kernel: Kernel) -> None:
    session = kernel.client.session
    content = {"seq": 1, "type": "request", "command": "debugInfo", "arguments": {}}
    message = session.msg("debug_request", content)
    kernel.client.control_channel.send(message)
    reply = kernel.client.get_control_msg(timeout=30)
    assert reply["content"]["body"]["isStarted"] is False
