"""The tap on a stream: the stream works as without, and what it costs."""

from __future__ import annotations

import io
import sys
import threading
import time
from typing import Any

import pytest

from jupyter_mlops.capture import outputs
from jupyter_mlops.capture.outputs import OutputTap

from .tapped import LIMIT, watched


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
