"""What the tap collects, and that the person's cell is none the wiser."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.capture import outputs
from jupyter_mlops.capture.outputs import Captured, OutputTap
from jupyter_mlops.capture.terminal import BoundedText, Screen, strip_ansi

from .drivers import Kernel, Shell

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40
LIMIT = 64 * 1024


class Watched:
    """What a cell of ``shell`` showed, by name."""

    def __init__(self) -> None:
        self.files: dict[str, Captured] = {}
        self.left_out: dict[str, str] = {}

    def __getitem__(self, name: str) -> bytes | str:
        return self.files[name].data


@contextmanager
def watched(shell: Any, limit: int = LIMIT) -> Iterator[Watched]:
    answer, tap = Watched(), OutputTap(shell, limit)
    tap.start()
    try:
        yield answer
    finally:
        files, answer.left_out = tap.stop()
        answer.files = {file.name: file for file in files}


def run(shell: Shell, source: str, limit: int = LIMIT) -> Watched:
    """Run a cell with a tap that begins and ends with it, as the recorder has it."""
    taps: list[OutputTap] = []
    answer = Watched()

    def begin(info: Any) -> None:
        taps.append(OutputTap(shell.ip, limit))
        taps[-1].start()

    def end(result: Any) -> None:
        files, left_out = taps[-1].stop()
        answer.files = {file.name: file for file in files}
        answer.left_out = left_out

    shell.ip.events.register("pre_run_cell", begin)
    shell.ip.events.register("post_run_cell", end)
    try:
        shell.run(source)
    finally:
        shell.ip.events.unregister("pre_run_cell", begin)
        shell.ip.events.unregister("post_run_cell", end)
    return answer


def test_both_streams_as_they_came(plain_shell: Shell) -> None:
    seen = run(
        plain_shell, "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')"
    )
    assert seen["output.txt"] == "one\ntwo\nthree\n"
    assert seen.files["output.txt"].kind == "output"
    assert seen.files["output.txt"].size == len("one\ntwo\nthree\n")
    assert not seen.left_out


def test_the_last_expression_is_in_the_text_once(plain_shell: Shell) -> None:
    words = str(run(plain_shell, "print('a')\n6 * 7")["output.txt"]).split()
    assert words[0] == "a"
    assert words.count("42") == 1  # The shell without a kernel prints it, with a prompt.


def test_a_cell_that_shows_nothing(plain_shell: Shell) -> None:
    seen = run(plain_shell, "x = 1")
    assert not seen.files
    assert not seen.left_out


def test_figures_and_tables(plain_shell: Shell) -> None:
    encoded = base64.b64encode(PNG).decode()
    seen = run(
        plain_shell,
        f"""
from IPython.display import display
display({{"image/png": {encoded!r}, "text/plain": "<Figure>"}}, raw=True)
display({{"image/png": {PNG!r}, "text/plain": "<Figure>"}}, raw=True)
display({{"image/svg+xml": "<svg/>", "text/plain": "<Figure>"}}, raw=True)
display({{"application/vnd.plotly.v1+json": {{"data": [1]}}, "text/plain": "F"}}, raw=True)
display({{"application/vnd.vegalite.v5+json": {{"mark": "bar"}}, "text/plain": "F"}}, raw=True)
display({{"text/html": "<div><table><tr></tr></table></div>", "text/plain": " a b"}}, raw=True)
""",
    )
    assert seen["figures/1.png"] == seen["figures/2.png"] == PNG
    assert seen["figures/3.svg"] == "<svg/>"
    assert json.loads(seen["figures/4.plotly.json"]) == {"data": [1]}
    assert json.loads(seen["figures/5.vegalite.json"]) == {"mark": "bar"}
    assert "<table>" in str(seen["tables/1.html"])
    kinds = {name.partition("/")[0]: file.kind for name, file in seen.files.items()}
    assert kinds == {"figures": "figure", "tables": "table"}


def test_the_text_of_what_is_neither(plain_shell: Shell) -> None:
    seen = run(
        plain_shell,
        "from IPython.display import display\n"
        "print('before')\n"
        "display({'text/plain': 'an object', 'text/html': '<b>an object</b>'}, raw=True)\n"
        "display({'text/plain': 'LR()', 'text/html': '<div class=\"sk-top-container\"><table>'}, "
        "raw=True)\n"
        "display({'text/plain': 'bar', 'application/vnd.jupyter.widget-view+json': {}}, raw=True)\n"
        "print('after')",
    )
    assert seen["output.txt"] == "before\nan object\nLR()\nafter\n"
    assert list(seen.files) == ["output.txt"]


def test_a_run_card_is_no_output(plain_shell: Shell) -> None:
    card = "{'application/vnd.jupyter-mlops.run+json': {}, 'image/png': 'iVBORw0KGgo='}"
    show = "from IPython.display import display\n"
    assert not run(plain_shell, f"{show}display({card}, raw=True)").files
    picture = card.replace("run+json", "other+json")
    assert run(plain_shell, f"{show}display({picture}, raw=True)").files


def test_a_display_that_is_updated_is_kept_as_it_was_last(plain_shell: Shell) -> None:
    seen = run(
        plain_shell,
        "from IPython.display import display\n"
        "shown = display({'text/plain': 'epoch 1'}, raw=True, display_id='e')\n"
        "for n in (2, 3): shown.update({'text/plain': f'epoch {n}'}, raw=True)\n"
        "_ = display({'text/plain': 'of another'}, raw=True, display_id='other', update=True)",
    )
    assert seen["output.txt"] == "epoch 3\n"


def test_output_that_is_cleared(plain_shell: Shell) -> None:
    seen = run(
        plain_shell,
        "from IPython.display import clear_output\n"
        "print('old'); clear_output(wait=True); print('new')",
    )
    assert "old" not in str(seen["output.txt"])
    assert "new" in str(seen["output.txt"])


def test_a_traceback_is_plain_text(plain_shell: Shell) -> None:
    plain_shell.ip.colors = "linux"
    seen = run(plain_shell, "print('so far')\n1 / 0")
    assert seen["output.txt"] == "so far\n"
    text = str(seen["traceback.txt"])
    assert "ZeroDivisionError" in text
    assert "\x1b" not in text
    assert seen.files["traceback.txt"].kind == "traceback"


def test_what_the_cell_captures_itself_is_not_ours(plain_shell: Shell) -> None:
    seen = run(plain_shell, "%%capture kept\nprint('hidden')\ndisplay('hidden, too')")
    assert not seen.files
    seen = run(
        plain_shell,
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()): print('hidden')\nprint('seen')",
    )
    assert seen["output.txt"] == "seen\n"


def test_a_cell_may_replace_and_wrap_the_streams(plain_shell: Shell) -> None:
    seen = run(
        plain_shell,
        "import sys\n"
        "first = sys.stdout\n"
        "class Tee:\n"
        "    def write(self, text): return first.write(text.upper())\n"
        "    def flush(self): first.flush()\n"
        "sys.stdout = Tee()\nprint('loud')\nsys.stdout = first\n"
        "plain = sys.stdout.write\nsys.stdout.write = lambda text: plain(text + '!')\n"
        "print('x', end='')",
    )
    assert seen["output.txt"] == "LOUD\nx!!"


def test_one_tap_inside_another() -> None:
    shell = type("Shell", (), {})()
    with watched(shell) as outer:
        print("a")
        with watched(shell) as inner:
            print("b")
        print("c")
    assert inner["output.txt"] == "b\n"
    assert outer["output.txt"] == "a\nb\nc\n"


def test_everything_is_put_back(plain_shell: Shell) -> None:
    ip = plain_shell.ip
    before = [
        sys.stdout.write, sys.stderr.write, ip.display_pub.publish,
        ip.displayhook.write_format_data, ip._showtraceback, ip.display_pub.clear_output,
    ]  # fmt: skip
    own = [dict(vars(holder)) for holder in (ip.display_pub, ip.displayhook)]
    tap = OutputTap(ip, LIMIT)
    tap.start()
    assert sys.stdout.write != before[0]
    tap.stop()
    assert tap.stop() == ((), {})
    after = [
        sys.stdout.write, sys.stderr.write, ip.display_pub.publish,
        ip.displayhook.write_format_data, ip._showtraceback, ip.display_pub.clear_output,
    ]  # fmt: skip
    assert after == before
    assert [dict(vars(holder)) for holder in (ip.display_pub, ip.displayhook)] == own


@pytest.mark.parametrize("stream", [io.StringIO(), io.TextIOWrapper(io.BytesIO())])
def test_streams_outside_of_kernels(stream: io.TextIOBase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    with watched(object()) as seen:
        assert sys.stdout.write("text") == 4
        print(" and more")
        sys.stdout.writelines(["a", "b"])
    assert str(seen["output.txt"]).startswith("text and more\n")
    assert "shell" not in str(seen.left_out)


def test_a_stream_that_cannot_be_watched_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        __slots__ = ()

        def write(self, text: str) -> int:
            return len(text)

        def flush(self) -> None:
            return None

    monkeypatch.setattr(sys, "stdout", Closed())
    with watched(object()) as seen:
        print("x")
    assert "cannot be watched" in seen.left_out["Closed.write"]


def test_a_failing_note_never_reaches_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)

    def broken(*_: Any) -> None:
        raise RuntimeError("ours")

    with watched(object()):
        monkeypatch.setattr(outputs, "_PENDING", 0)
        monkeypatch.setattr(OutputTap, "_fold", broken)
        print("theirs")
    assert stream.getvalue() == "theirs\n"


def test_an_error_of_the_stream_is_the_persons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with watched(object()) as seen, pytest.raises(TypeError):
        sys.stdout.write(1)  # type: ignore[arg-type]
    assert not seen.files


def test_threads_that_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    def work() -> None:
        for number in range(200):
            sys.stdout.write(f"<{number}>")

    with watched(object()) as seen:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    text = str(seen["output.txt"])
    assert all(text.count(f"<{number}>") == 8 for number in range(200))


def test_a_write_that_outlives_the_cell_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with watched(object()) as seen:
        write = sys.stdout.write
    write("later")
    assert stream.getvalue() == "later"
    assert not seen.files


def test_a_text_is_cut_in_the_middle_and_a_picture_left_out(plain_shell: Shell) -> None:
    seen = run(
        plain_shell,
        "for n in range(5000): print(f'line {n}')\n"
        f"display({{'image/png': {PNG * 200!r}, 'text/plain': 'F'}}, raw=True)",
        limit=4096,
    )
    text = str(seen["output.txt"])
    whole = "".join(f"line {n}\n" for n in range(5000))
    assert seen.files["output.txt"].size == len(whole)
    assert text.startswith("line 0\nline 1\n")
    assert text.endswith("line 4999\n")
    assert f"[... {len(whole) - 4096} of {len(whole)} bytes were cut ...]" in text
    assert seen.left_out == {
        "output.txt": f"{len(whole) - 4096} of {len(whole)} bytes were cut (output-limit)",
        "figures/1.png": "9600 bytes are more than the limit of 4096 (output-limit)",
    }


def test_many_figures(plain_shell: Shell) -> None:
    seen = run(
        plain_shell,
        f"for n in range(120): display({{'image/png': {PNG!r}, 'text/plain': 'F'}}, raw=True)",
    )
    assert len(seen.files) == 100
    assert seen.left_out == {"figures": "20 more than 100"}


def test_endless_output_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nowhere(io.TextIOBase):
        def write(self, text: str) -> int:
            return len(text)

    monkeypatch.setattr(sys, "stdout", Nowhere())
    tap = OutputTap(object(), LIMIT)
    tap.start()
    for _ in range(100):
        sys.stdout.write("x" * 200_000)
        assert tap._pending <= 2 * 1024 * 1024
        assert sum(len(row) for row in tap._screen._rows) < 4 * 1024 * 1024
    ((output,), left_out) = tap.stop()
    assert output.size == 20_000_000
    assert len(output.data) < LIMIT + 100
    assert "output.txt" in left_out


def test_the_cost_of_a_print(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 10 microseconds; the least of several rounds, as the machine may be busy."""

    class Nowhere(io.TextIOBase):
        def write(self, text: str) -> int:
            return len(text)

    monkeypatch.setattr(sys, "stdout", Nowhere())

    def cost() -> float:
        rounds = []
        for _ in range(5):
            began = time.thread_time()
            for _ in range(5000):
                print("epoch 3: loss 0.123")
            rounds.append((time.thread_time() - began) / 5000)
        return min(rounds)

    plain = cost()
    with watched(object()):
        added = cost() - plain
    assert added < 10e-6


# The terminal.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\rb\n", "b\n"),
        ("  0%\r 50%\r100%\n", "100%\n"),
        ("long line\rshort", "shortline"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("abc\x08\x08X", "aXc"),
        ("bar 1\x1b[2K\rbar 2", "bar 2"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("top\nlow\x1b[A\rTOP\n", "TOP\nlow"),
        ("one\ntwo\x1b[1A\x1b[J\rnew", "new"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("a\x1b[3Cb", "a   b"),
    ],
)  # fmt: skip
def test_what_a_terminal_shows(text: str, shown: str) -> None:
    whole, pieces = Screen(), Screen()
    whole.feed(text)
    for piece in text.split("\n"):
        pieces.feed(piece)
        pieces.feed("\n")
    assert whole.settled(final=True) == shown
    assert pieces.settled(final=True) == shown + "\n"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\x08\x1b"))))
def test_plain_text_is_shown_as_it_is(parts: list[str]) -> None:
    screen, taken = Screen(), ""
    for part in parts:
        screen.feed(part)
        taken += screen.settled()
    assert taken + screen.settled(final=True) == "".join(parts)


@given(
    st.lists(st.sampled_from(["a", "\n", "\r", "\x08", "\x1b[A", "\x1b[2K", "\x1b[99B", "\x1b["]))
)
def test_no_sequence_is_too_much(parts: list[str]) -> None:
    screen = Screen()
    for part in parts:
        screen.feed(part)
        screen.settled()
    assert "\r" not in screen.settled(final=True)


def test_escape_sequences_are_stripped() -> None:
    assert strip_ansi("\x1b[0;31mValueError\x1b[0m: \x1b[38;5;241mx\x1b[39m") == "ValueError: x"


@given(st.lists(st.text()), st.integers(1, 200))
def test_a_bounded_text_keeps_both_ends(parts: list[str], limit: int) -> None:
    text = BoundedText(limit)
    for part in parts:
        text.add(part)
    whole = "".join(parts).encode("utf-8", "backslashreplace")
    assert text.size == len(whole)
    if len(whole) <= limit - 1:
        assert text.text().encode() == whole
    shown = text.text()
    assert len(shown.encode()) <= limit + 2 + len(
        f"\n[... {text.cut} of {text.size} bytes were cut ...]\n"
    )
    if text.cut:
        assert f"[... {text.cut} of {text.size} bytes were cut ...]" in shown


# In a real kernel: the same messages with the tap as without.

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
