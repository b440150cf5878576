"""The same notebook on the fork engine and in a kernel with sockets: the same outputs.

What cannot be equal is replaced on both sides: times, process ids, addresses, CPU and memory.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.warm.address import Address

from .forks import ForkBench, until_ahead, zygote_for_tests

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fork engine needs Linux")
_VARIES = re.compile(
    r"ipykernel_\d+/\d+\.py|/tmp/ipykernel_\d+|0x[0-9a-f]{6,}|kernel-[-0-9a-f]{36}\.json|"
    r"\"data:[^\"]*\""
)

STREAMS = (
    "print('a')\nimport sys\nprint('b', file=sys.stderr)\nprint('c', end='')\nprint('d')",
    "import logging, warnings\nlogging.warning('logged')\nwarnings.warn('warned')\n"
    "sys.stdout.write('no newline')\n1",
    "import os\nprint('first', flush=True)\nos.write(1, b'second\\n')\nos.system('echo third')\n"
    "import time; time.sleep(0.1)\nprint('fourth')",
    "import subprocess\n"
    "subprocess.run(['sh', '-c', 'echo out; echo err >&2; printf \"\\\\303\\\\251\"'])\n"
    "time.sleep(0.1)",
    "import ctypes\nc = ctypes.CDLL(None)\nc.puts(b'from C')\nc.fflush(None)\ntime.sleep(0.1)",
    "for i in range(3):\n    print(f'\\r{i}', end='', flush=True)\nprint()",
    "from concurrent.futures import ThreadPoolExecutor\n"
    "with ThreadPoolExecutor(1) as pool:\n    pool.submit(print, 'in a thread').result()",
    "import threading\nstop = threading.Event()\n"
    "def later():\n    stop.wait(5)\n    print('late')\nthread = threading.Thread(target=later)\n"
    "thread.start()",
    "stop.set(); thread.join()\nprint('after')",
    "import multiprocessing\nfork = multiprocessing.get_context('fork')\n"
    "p = fork.Process(target=print, args=('in a child',))\np.start(); p.join()\np.exitcode",
    "(sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.name, sys.stderr.fileno() > 2,"
    " type(sys.stdout).__mro__[-3].__name__)",
)
DISPLAYS = (
    "from IPython.display import *\n"
    "display(HTML('<b>x</b>'), Markdown('*y*'), JSON({'a': [1, None]}))",
    "handle = display('one', display_id='shown')\ndisplay('two', display_id='shown')\n",
    "handle.update('three')\nupdate_display(HTML('four'), display_id='shown')",
    "print('gone'); clear_output(); print('stays')",
    "print('until'); clear_output(wait=True); time.sleep(0)\nprint('next')",
    "display({'text/plain': 'raw', 'application/x-mine+json': {'k': 2.5}}, raw=True)",
    "import pandas as pd\npd.DataFrame({'a': [1, 2], 'b': ['x', None]})",
    "_.shape, Out[7].shape, In[7]",
    "5;",
    "class Rich:\n    def _repr_html_(self):\n        return '<i>rich</i>'\n"
    "    def __repr__(self):\n        return 'plain'\nRich()",
    "class Broken:\n    def _repr_html_(self):\n        raise ValueError('in repr')\nBroken()",
    "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('before the figure')",
    "%config InlineBackend.figure_format = 'svg'\n"
    "figure, axes = plt.subplots(2)\nplt.show()\n'shown'",
    "plt.get_backend(), plt.get_fignums()",
    "Image(data=b'\\x89PNG\\r\\n\\x1a\\n' + b'0' * 20)",
    "from IPython.utils.capture import capture_output\nwith capture_output() as got:\n"
    "    print('caught'); display('too')\ngot.stdout, len(got.outputs)",
    "Pretty('x'), object.__repr__(1) and 'y'",
    "open('shown.txt', 'w').write('kept')",
)
SHELL = (
    "%pwd",
    "!echo from the shell\nlines = !printf 'a\\nb'\nlist(lines)",
    "%%bash\necho one\necho two >&2",
    "%%capture caught\nprint('hidden')",
    "caught.stdout",
    "%%writefile other.py\nprint('name', __name__)\nvalue = 3",
    "%run other.py\nvalue",
    "import other\nother.__name__, __name__, '__file__' in globals()",
    "%who\n%history -n 1-2",
    "len?",
    "%timeit -n 1 -r 1 -q pass\n%env MINE=1\nimport os; os.environ['MINE'], os.environ['TERM']",
    "import sys\n"
    "sys.argv[1], sys.argv[3:], sys.path[0], os.getcwd() == sys.path[0], sys.flags.dev_mode",
    "import __main__\n"
    "__main__ is sys.modules['__main__'], vars(__main__) is globals(), __builtins__",
    "seen = []\ndef note(info):\n    seen.append((info.raw_cell[:5], bool(info.cell_id)))\n"
    "def after(result):\n    seen.append((result.execution_count, result.success))\n"
    "get_ipython().events.register('pre_run_cell', note)\n"
    "get_ipython().events.register('post_run_cell', after)",
    "# seen\n1",
    "seen",
    "shell = get_ipython()\n"
    "type(shell).__name__, 'IPKernelApp' in shell.config, type(shell.kernel).__name__",
    "import threading, signal\nthreading.current_thread() is threading.main_thread(), "
    "signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(0, [])",
    "from joblib import Parallel, delayed\nParallel(n_jobs=2)(delayed(abs)(n) for n in (-1, -2))",
    "get_ipython().run_cell('print(\"nested\")\\n7').result",
    "get_ipython().set_next_input('x = 1')",
)
ASYNC = (
    "import asyncio, contextvars\nloop = asyncio.get_running_loop()\n"
    "await asyncio.sleep(0)\n'slept'",
    "asyncio.get_running_loop() is loop, loop.is_running()",
    "got = []\nasync def on():\n    while len(got) < 3:\n        got.append(1)\n"
    "        await asyncio.sleep(0.001)\ntask = asyncio.create_task(on())",
    "await task\nlen(got)",
    "kept = contextvars.ContextVar('kept')\nkept.set(4)",
    "kept.get()",
    "asyncio.run(asyncio.sleep(0))",
    "async for x in (y async for y in on()):\n    pass",
    "await asyncio.gather(asyncio.sleep(0, 'a'), asyncio.sleep(0, 'b'))",
    "async def bad():\n    raise KeyError('in a task')\nawait bad()",
    "%autoawait",
    "process = await asyncio.create_subprocess_exec('true')\nawait process.wait()",
)
ERRORS = (
    "def f(x):\n    return 1 / x\nf(0)",
    "x =",
    "try:\n    {}['a']\nexcept KeyError as error:\n    raise ValueError('outer') from error",
    "class Bad:\n    def __repr__(self):\n        raise RuntimeError('in repr')\nBad()",
    "import sys\nsys.exit(3)",
    "raise KeyboardInterrupt",
    "raise BaseException('base')",
    "%nothing",
    "!exit 3\n_exit_code",
    "%%bash\nexit 4",
    "print('p'); import sys; print('e', file=sys.stderr); 1 / 0",
    "input('name? ')",
    "import getpass; getpass.getpass()",
    "raise UnicodeError('\\udcff lone')",
    "import signal, os, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(1)",
    "import asyncio\nos.kill(os.getpid(), signal.SIGINT)\nawait asyncio.sleep(5)",
    "assert not 'reached'",
)
COMMS = (
    "import ipywidgets\nshown = ipywidgets.IntSlider(3)\nshown.value",
    "import comm\none = comm.create_comm(target_name='mine', data={'a': 1})\n"
    "one.send([1], buffers=[b'x'])",
)


@pytest.fixture(scope="module", autouse=True)
def zygote() -> Iterator[Address]:
    with zygote_for_tests() as address:
        yield address


@pytest.mark.parametrize(
    "cells",
    [STREAMS, DISPLAYS, SHELL, ASYNC, ERRORS, COMMS],
    ids=["streams", "displays", "shell", "async", "errors", "comms"],
)
def test_both_engines_agree(
    cells: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zygote: Address
) -> None:
    from jupyter_mlops.integrations import engine_starting

    monkeypatch.setattr(engine_starting, "obstacle", lambda notebook, folder: None)
    found = []
    for kind in ("forked", "ahead", "kernel"):
        folder = tmp_path / "same"
        folder.mkdir()
        if kind == "ahead":
            until_ahead(zygote)
        bench = ForkBench(folder, fork=kind != "kernel")
        bench.write(*cells, tags=dict.fromkeys(range(1, len(cells) + 1), "raises-exception"))
        result = bench.execute()
        assert result.status == "completed", result.error
        assert bench.starts == ["warm" if kind == "kernel" else "fork"]
        executed = bench.executed
        assert executed.metadata.mlops.kernel.get("ahead", False) is (kind == "ahead")
        found.append(_settled(executed))
        folder.rename(tmp_path / kind)
    forked, ahead, kernel = found
    for ours in (forked, ahead):
        for one, other, source in zip(ours["cells"], kernel["cells"], ("", *cells), strict=True):
            assert one == other, source
        assert ours["metadata"] == kernel["metadata"]


def _settled(notebook: Any) -> Any:
    for cell in notebook["cells"]:
        cell["id"] = ""
        for key in ("wall", "cpu", "peak_memory"):
            cell["metadata"].get("mlops", {}).pop(key, None)
        cell["metadata"].pop("papermill")
        times = cell["metadata"].pop("execution", {})
        cell["metadata"]["events"] = sorted(times)
        if "outputs" in cell:
            cell["outputs"] = _by_stream(cell["outputs"])
    metadata = notebook["metadata"]
    for key in ("papermill", "widgets"):
        metadata.pop(key, None)
    for key in ("wall", "cpu", "peak_memory", "kernel"):
        metadata["mlops"].pop(key)
    return _replaced(notebook)


def _by_stream(outputs: list[Any]) -> list[Any]:
    """The outputs, with neighbouring writes to stdout and stderr put together by stream.

    ipykernel flushes each of the two by a timer of its own, and a timer that is left from an
    earlier cell may send what was written to the second before what was written to the first.
    """
    ordered: list[Any] = []
    for of_streams, group in itertools.groupby(outputs, lambda o: o["output_type"] == "stream"):
        if not of_streams:
            ordered.extend(group)
            continue
        texts: dict[str, str] = {}
        for output in group:
            texts[output["name"]] = texts.get(output["name"], "") + output["text"]
        ordered.extend(
            {"name": name, "output_type": "stream", "text": texts[name]} for name in sorted(texts)
        )
    return ordered


def _replaced(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one) for one in value]
    return _VARIES.sub("...", value) if isinstance(value, str) else value
