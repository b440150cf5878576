"""SIGTERM as an exception."""

from __future__ import annotations

import signal
import threading

import pytest

from jupyter_mlops.pipelines.interrupts import Terminated, exit_code_of, sigterm_raises


def test_sigterm_is_raised_inside_and_only_there() -> None:
    with pytest.raises(Terminated) as caught, sigterm_raises():
        signal.raise_signal(signal.SIGTERM)
    assert exit_code_of(caught.value) == 143
    assert exit_code_of(KeyboardInterrupt()) == 130
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_host_that_handles_it_keeps_its_handler() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with sigterm_raises():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_other_threads_leave_it_alone() -> None:
    found: list[object] = []

    def work() -> None:
        with sigterm_raises():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]
