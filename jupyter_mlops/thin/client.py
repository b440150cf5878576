"""The first lines of every ``jupyter mlops``.

The verb ``run`` goes to a runner, if the project's agent holds one: a process that has imported
what a run needs.  It forks, and the child takes this process's place: standard streams (the very
descriptors), working folder, arguments, environment, limits.  Signals are passed on to it, and its
exit code is this process's.  When this process is killed with -9, so is the child, as if it had
been it.  Every other verb, and whatever speaks against a fork, goes on here as ever.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from .handing import Runner

__all__ = ["main"]

_OFF = {"0", "false", "no", "off"}


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    if arguments is not None:
        sys.argv[1:] = arguments
    runner = _find(sys.argv[1:])
    if runner is None:
        _here()
    code = runner.run()
    if code is not None:
        os._exit(code)  # nothing was printed here, and nothing is to be cleaned up
    try:
        _here()
    finally:
        runner.order()


def _here() -> NoReturn:
    from ..cli.main import main as whole

    whole()
    raise SystemExit(0)  # it has exited itself


def _find(words: list[str]) -> Runner | None:
    """Where a runner may be, ``None`` if this is nothing for one."""
    if len(words) < 2 or words[0] != "run" or sys.platform != "linux":
        return None
    if any(
        os.environ.get(f"JUPYTER_MLOPS_{name}", "").strip().lower() in _OFF
        for name in ("AGENT", "RUNNER")
    ):
        return None
    flags = sys.flags
    usual = (
        not sys.warnoptions
        and not sys._xoptions
        and not (flags.isolated or flags.no_site or flags.no_user_site or flags.ignore_environment)
        and not (flags.optimize or flags.dev_mode or flags.inspect or flags.verbose or flags.debug)
        and sys.gettrace() is None
        and sys.getprofile() is None
    )
    if not usual or not hasattr(os, "pidfd_open"):
        return None
    from .handing import Runner

    return Runner(words)
