"""``python -m jupyter_mlops.dataflow.replay CASES.json [--json OUT]``: the harness's command."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import MlopsError, ReplayDiffersError, UsageError
from .harness import Verdict, judge_all, our_slice, totals, without_evidence
from .harness_forks import ForkRunner
from .harness_kernels import KernelRunner
from .harness_runs import Runner
from .harness_table import read_table

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the table's cases, print them and the totals; return the exit code.

    0: every slice is sound; 4: a replay differed; 2: the table or the arguments are not usable.
    """
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except MlopsError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code


def _run(options: argparse.Namespace) -> int:
    cases = read_table(options.cases)
    if options.only:
        unknown = set(options.only) - {case.name for case in cases}
        if unknown:
            raise UsageError(f"{options.cases} has no case {', '.join(sorted(unknown))}")
        cases = [case for case in cases if case.name in options.only]
    for case in cases:
        if not case.runs_here:
            print(f"{case.name}: left out, it is for Python {'.'.join(map(str, case.python))}")
    cases = [case for case in cases if case.runs_here]
    if options.json is not None and not options.json.absolute().parent.is_dir():
        raise UsageError(f"--json: the folder of {options.json} does not exist")
    make = ForkRunner if options.forked else KernelRunner
    runners: list[Runner] = [make(options.timeout) for _ in range(options.jobs)]
    try:
        slicer = without_evidence if options.static else our_slice
        verdicts = judge_all(cases, runners, slicer, done=_show)
    finally:
        for runner in runners:
            runner.close()
    sums = totals(verdicts)
    print(
        f"sound {sums['sound']} of {sums['cases']}, precision {sums['precision']:.3f}, "
        f"recall {sums['recall']:.3f}"
    )
    if options.json is not None:
        report = {"cases": [v.to_dict() for v in verdicts], "totals": sums}
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0 if sums["sound"] == sums["cases"] else ReplayDiffersError.exit_code


def _show(verdict: Verdict) -> None:
    print(
        f"{verdict.name}: {'sound' if verdict.sound else 'NOT SOUND'}, "
        f"slice {_cells(verdict.slice)}, needed {_cells(verdict.needed)}, "
        f"precision {verdict.precision:.3f}, recall {verdict.recall:.3f}",
        flush=True,
    )
    if verdict.why:
        print(f"    {verdict.why}", flush=True)


def _cells(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers)) or "none"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jupyter_mlops.dataflow.replay",
        description="Execute sessions of cells under capture, slice each for its target, replay "
        "the slice in a fresh kernel and compare the value.",
    )
    parser.add_argument("cases", type=Path, metavar="CASES.json", help="the table of sessions")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the report there")
    parser.add_argument("--only", action="append", metavar="NAME", help="judge this case only")
    parser.add_argument(
        "--static", action="store_true", help="slice by text alone, without run-time evidence"
    )
    parser.add_argument(
        "--forked", action="store_true", help="fork one warm shell instead of starting kernels"
    )
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="for a cell (default 60)"
    )
    parser.add_argument(
        "--jobs", type=int, choices=(1, 2), default=1, help="sessions at a time (default 1)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
