"""The tap in a real kernel: the same messages with it as without."""

from __future__ import annotations

import json
import re
from typing import Any

from .drivers import Kernel
from .tapped import PNG

_CELLS = [
    "print('out')",
    "import sys; print('err', file=sys.stderr)",
    "6 * 7",
    "from IPython.display import display, HTML, clear_output\n"
    "display(HTML('<table><tr><td>1</td></tr></table>'))",
    "handle = display('first', display_id='d'); handle.update('second')",
    "for n in range(3): print(f'\\r{n}', end='', flush=True)",
    "1 / 0",
    "!echo from a shell",
    "import os; _ = os.system('echo by the system')",
    "%%capture\nprint('hidden')",
    "%%time\nsum(range(10))",
    "print('gone'); clear_output(); print('stays')",
    "import asyncio; await asyncio.sleep(0.01); print('awaited')",
    "this is no Python",
]
_TAP = """
from jupyter_mlops.capture.outputs import OutputTap
taps, kept = [], {}
def begin(info):
    taps.append(OutputTap(get_ipython(), 100000)); taps[-1].start()
def end(result):
    if taps:
        files, left_out = taps.pop().stop()
        assert not left_out, left_out
        kept[result.info.raw_cell] = {file.name: file.data for file in files}
get_ipython().events.register("pre_run_cell", begin)
get_ipython().events.register("post_run_cell", end)
"""


def _messages(kernel: Kernel, source: str) -> list[tuple[str, str]]:
    """What a front end gets for a cell, without numbers, and a stream's messages as one."""
    request = kernel.send(source)
    found: list[tuple[str, Any]] = []
    while True:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["msg_type"], dict(message["content"])
        if kind == "stream" and found and found[-1][0] == "stream":
            last = found[-1][1]
            if last["name"] == content["name"]:
                last["text"] += content["text"]
                continue
        found.append((kind, content))
        if kind == "status" and content["execution_state"] == "idle":
            break
    while kernel.client.get_shell_msg(timeout=60)["parent_header"].get("msg_id") != request:
        pass
    # Numbers vary, and so do the units that times are told in.
    text = [(kind, re.sub(r"\d+", "#", json.dumps(content))) for kind, content in found]
    times = re.compile(r"#(?:\.#)?(?:e\+#)? (?:\\u#b5|\\u#bc|[mnµ])?s\b")
    return [(kind, times.sub("TIME", shown)) for kind, shown in text]


def test_a_front_end_gets_the_same_messages(kernel: Kernel) -> None:
    plain = [_messages(kernel, cell) for cell in _CELLS]
    _messages(kernel, _TAP)
    tapped = [_messages(kernel, cell) for cell in _CELLS]
    for cell, without, with_tap in zip(_CELLS, plain, tapped, strict=True):
        assert with_tap == without, cell
    outcome = kernel.run("import json; print(json.dumps(kept))")
    kept = json.loads(outcome.stdout)
    texts = [kept[cell].get("output.txt") for cell in _CELLS]
    assert texts[:3] == ["out\n", "err\n", "42\n"]
    assert "<table>" in kept[_CELLS[3]]["tables/1.html"]
    assert texts[4] == "'second'\n"
    assert texts[5] == "2"
    assert texts[6] is None
    assert "ZeroDivisionError" in kept[_CELLS[6]]["traceback.txt"]
    assert "from a shell" in texts[7]
    # Not seen by a kernel that is started from pytest; else it comes when it comes.
    assert texts[8] in (None, "by the system\n")
    assert kept[_CELLS[9]] == {}
    assert "CPU times" in texts[10]
    assert texts[10].endswith("45\n")
    assert texts[11:13] == ["stays\n", "awaited\n"]
    assert "SyntaxError" in kept[_CELLS[13]]["traceback.txt"]


def test_a_figure_of_matplotlib(kernel: Kernel) -> None:
    kernel.run("%matplotlib inline\nimport matplotlib.pyplot as plt")
    kernel.run(_TAP)
    cell = "plt.plot([1, 2]); print('drawn')"
    kernel.run(cell)
    outcome = kernel.run(f"print(sorted(kept[{cell!r}]), kept[{cell!r}]['figures/1.png'][:4])")
    assert outcome.stdout.strip() == repr(["figures/1.png", "output.txt"]) + " " + repr(PNG[:4])
