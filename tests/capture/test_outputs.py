"""What the tap collects of a cell, and that it leaves the shell as it was."""

from __future__ import annotations

import base64
import json
import sys

from jupyter_mlops.capture.outputs import OutputTap

from .drivers import Shell
from .tapped import LIMIT, PNG, run, watched


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
