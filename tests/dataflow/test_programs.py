"""Made-up sessions: running only the slice gives the same value as running everything."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, assume, given, reject, seed, settings

from jupyter_mlops.promotion.harness import our_slice, without_evidence
from jupyter_mlops.promotion.harness_forks import ForkRunner
from jupyter_mlops.promotion.harness_kernels import KernelRunner
from jupyter_mlops.promotion.harness_runs import Executed, Runner, TimedOut

from .programs import Program, programs

# Read now: the tests' environment is their own.
_PIECE = os.environ.get("JUPYTER_MLOPS_TEST_PROGRAMS", "0:5000")
_SETTINGS = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    phases=[Phase.generate, Phase.shrink],
)


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkRunner]:
    runner = ForkRunner(timeout=8.0)
    yield runner
    runner.close()


def whole(program: Program, runner: Runner) -> tuple[Program, Executed]:
    """Run it under capture without the cells that raise: nobody can replay those."""
    executed = _captured(program, runner)
    for _ in range(3):
        if not executed.failed:
            break
        good = tuple(c for i, c in enumerate(program.cells) if i not in executed.failed)
        program = Program(good, program.target)
        executed = _captured(program, runner)
    assume(not executed.failed and executed.value.error is None and executed.value.complete)
    return program, executed


def _captured(program: Program, runner: Runner) -> Executed:
    try:
        return runner.run(program.cells, program.target, capture=True, stop=False)
    except TimedOut:  # An iterator over what it appends to, say.
        reject()


def check(program: Program, runner: Runner) -> None:
    program, executed = whole(program, runner)
    last = len(program.cells) - 1
    tried: set[tuple[int, ...]] = set()
    for slicer in (our_slice, without_evidence):
        kept = tuple(slicer(executed.events, last, [program.target]))
        if kept in tried or len(kept) > last:
            continue
        tried.add(kept)
        replayed = runner.run([program.cells[i] for i in kept], program.target).value
        if not executed.value.same(replayed):
            again = runner.run(program.cells, program.target).value
            assume(executed.value.same(again))
            left = [i for i in range(last) if i not in kept]
            pytest.fail(
                f"{slicer.__name__} leaves out {left}: {executed.value.shown}, replayed "
                f"{replayed.shown or replayed.error}{program!r}"
            )


@seed(5)
@settings(_SETTINGS, max_examples=100)
@given(programs(6))
def test_the_slice_gives_the_same_value(forks: ForkRunner, program: Program) -> None:
    check(program, forks)


def test_what_an_error_under_capture_had_done_is_done(forks: ForkRunner) -> None:
    cells = (
        "rows = [1, 2, 3]",
        "kept = iter(rows[:1])",
        "%%capture said\nkept = iter(rows)\nrows.missing",
        "kept",
    )
    executed = forks.run(cells[:-1], "kept", capture=True, stop=False)
    assert executed.events[2].status == "error"
    for slicer in (our_slice, without_evidence):
        kept = slicer(executed.events, 2, ["kept"])
        assert 2 in kept
        assert executed.value.same(forks.run([cells[i] for i in kept], "kept").value)


@pytest.mark.full
@pytest.mark.timeout(7200)
def test_five_thousand_programs(forks: ForkRunner) -> None:
    """``JUPYTER_MLOPS_TEST_PROGRAMS=FROM:COUNT`` runs a piece of it, each piece its own seed."""
    begin, _, count = _PIECE.partition(":")
    done = 0

    @seed(int(begin))
    @settings(_SETTINGS, max_examples=int(count))
    @given(programs())
    def run(program: Program) -> None:
        nonlocal done
        check(program, forks)
        done += 1

    run()
    print(f"\n{done} programs, no slice unsound")
    assert done >= int(count) // 2


@pytest.mark.full
@pytest.mark.timeout(7200)
def test_kernels_say_the_same() -> None:
    """A hundred of them in real kernels."""
    kernels = KernelRunner(timeout=20.0)

    @seed(100)
    @settings(_SETTINGS, max_examples=100)
    @given(programs(6))
    def run(program: Program) -> None:
        check(program, kernels)

    run()
