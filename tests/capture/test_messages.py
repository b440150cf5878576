"""Whole sessions, message by message: tracked cells say what plain cells say, and the card.

The tag ``track`` makes a cell tracked without a change to its source, so that the same session can
be run in a kernel with the extension and in one without.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.capture.card import MIME
from jupyter_mlops.project import open_project

from .conftest import start_kernel
from .drivers import Kernel

SESSION = [
    "x = 1\nprint('one'); x",
    "import asyncio\nawait asyncio.sleep(0.01)\nprint('slept')\nawait asyncio.sleep(0, 'value')",
    "%%time\ntotal = sum(range(1000))\ntotal",
    "%time y = 2",
    "%precision 3\n1 / 3",
    "!echo from the shell && echo and its errors >&2",
    "files = !printf 'a\\nb\\n'\nfiles",
    "import sys\nsys.stdout.write('no line break')\nsys.stdout.flush()\n"
    "sys.stderr.write('error\\n')\nprint('again')",
    "import os\nos.write(1, b'by the descriptor\\n')\nimport time; time.sleep(0.3)",
    "def inner():\n    return 1 / 0\n\ninner()",
    "raise KeyError('a key')",
    "x = = 1",
    "%nosuchmagic",
    "from IPython.display import HTML, Markdown, clear_output, display\n"
    "display(HTML('<b>1</b>'), Markdown('*2*'))\nHTML('<i>3</i>')",
    "handle = display('first', display_id='shown')\nhandle.update('second')\nNone",
    "for i in range(3):\n    clear_output(wait=True)\n    print(i)",
    "for i in range(4):\n    print(f'\\r{i}/3', end='')\n",
    "import threading\n"
    "t = threading.Thread(target=lambda: print('thread'))\nt.start(); t.join(); time.sleep(0.3)",
    "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})\ndf",
    "df;",
    "%matplotlib inline\nimport matplotlib.pyplot as plt\n"
    "plt.plot([1, 2, 3])\nplt.show()\nprint('after')",
    "fig, ax = plt.subplots()\nax.plot([3, 1])",
    "%%capture out\nprint('captured')\n1 / 1",
    "out.stdout",
    "%%bash\necho bash",
    "import ipywidgets\nslider = ipywidgets.IntSlider(3)\nslider",
    "slider.value = 5\nslider.value",
    "with ipywidgets.Output() as area:\n    print('inside')\narea",
    "import warnings\nwarnings.warn('careful')",
    "from contextlib import redirect_stdout\nimport io\n"
    "buffer = io.StringIO()\n"
    "with redirect_stdout(buffer):\n    print('elsewhere')\nbuffer.getvalue()",
    "old = sys.stdout\nsys.stdout = io.StringIO()\nprint('lost')\nsys.stdout = old\nprint('back')",
    "?x",
    "_, _1",
    "import logging\nlogging.getLogger().warning('logged')",
    "class Loud:\n    def __repr__(self):\n        raise ValueError('no repr')\n\nLoud()",
    "print('a' * 200_000)",
    "raise SystemExit(3)",
    "get_ipython().set_next_input('x = 2')",
    "",
    "# only a comment",
    "assert x == 1\n(x, y)",
]
INTERRUPTED = [
    "import time\nprint('begun', flush=True)\ntime.sleep(30)",
    "print('begun', flush=True)\nawait asyncio.sleep(5)",
]

Message = tuple[str, Any]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Kernel, Kernel]]:
    """A kernel without us and one with us, each in a project of its own."""
    folders = [tmp_path / name for name in ("plain", "tracked")]
    for folder in folders:
        folder.mkdir()
        (folder / "pyproject.toml").write_text("")
        open_project(folder)
    with start_kernel(folders[0]) as plain, start_kernel(folders[1]) as tracked:
        yield plain, tracked


def test_every_message_is_as_without_us(pair: tuple[Kernel, Kernel]) -> None:
    plain, tracked = pair
    assert _messages(plain, "import math")[-1] == ("reply", "ok")
    assert _messages(tracked, "%load_ext jupyter_mlops")[-1] == ("reply", "ok")
    for source in SESSION:
        assert _messages(tracked, source) == _messages(plain, source), source
    for source in INTERRUPTED:
        assert _messages(tracked, source, interrupt=True) == _messages(
            plain, source, interrupt=True
        ), source
    # That all of them were tracked makes the comparison worth something.
    runs = tracked.session.runs
    assert {run.source for run in runs} >= set(filter(str.strip, SESSION)) - {"?x"}
    assert [run.status for run in runs[-2:]] == ["KILLED", "KILLED"]


def _messages(kernel: Kernel, source: str, *, interrupt: bool = False) -> list[Message]:
    """What a cell makes a front end receive, without what no two runs share."""
    request = kernel.send(source, {"tags": ["track"], "cellId": "abc"})
    found: list[Message] = []
    while True:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            break
        if MIME in content.get("data", {}):
            continue
        if kind == "stream" and found and found[-1][0] == f"stream {content['name']}":
            # How output is cut into messages is a matter of time.
            found[-1] = (found[-1][0], _steady(found[-1][1] + content["text"]))
        elif kind == "stream":
            found.append((f"stream {content['name']}", _steady(content["text"])))
        else:
            found.append((kind, _steady({**content, "metadata": content.get("metadata", {})})))
        if interrupt and kind == "stream":
            time.sleep(0.2)
            kernel.manager.interrupt_kernel()
            interrupt = False
    while True:
        reply = kernel.client.get_shell_msg(timeout=60)
        if reply["parent_header"].get("msg_id") == request:
            break
    content = reply["content"]
    payload = [part.get("source") for part in content.get("payload", ())]
    if payload:
        found.append(("payload", payload))
    return [*found, ("reply", content["status"])]


_VARYING = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{24}_\d+_\d+"), "MESSAGE"),
    (re.compile(r"[0-9a-f]{32}"), "ID"),
    (re.compile(r"0x[0-9a-f]+"), "ADDRESS"),
    (re.compile(r"(Wall time|CPU times): .*"), "TIMES"),
    (re.compile(r"ipykernel_\d+/\d+\.py"), "FILE"),
    (re.compile(r"<ipython-input-\d+-\w+>"), "FILE"),
    (re.compile(r"In\s*\[\d+\]|Cell In\[\d+\]"), "IN"),
)


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _steady(v) for k, v in value.items() if k != "execution_count"}
    if isinstance(value, (list, tuple)):
        return [_steady(item) for item in value]
    if isinstance(value, str):
        for pattern, word in _VARYING:
            value = pattern.sub(word, value)
    return value
