"""``python -P -m jupyter_mlops.agent ROOT [--detach | --foreground] [--runner]``.

With ``--detach`` the process forks.  The second half is the agent and belongs to nobody, so it
never becomes a zombie.  The first waits until that listens, and prints ``ready``, or the error (as
JSON) that kept it from listening.
"""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> int:
    """Run an agent until it ends; return its exit code."""
    root, *options = arguments
    tell = -1
    if "--detach" in options and hasattr(os, "fork"):
        listen, tell = os.pipe()
        if os.fork() > 0:
            os.close(tell)
            return _wait(listen)
        os.close(listen)
        # The pipe that the first half was given must end with it.
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    from .supervisor import run_agent

    return run_agent(
        root, foreground="--foreground" in options, tell=tell, runner="--runner" in options
    )


def _wait(listen: int) -> int:
    with os.fdopen(listen, "rb") as pipe:
        said = pipe.read()
    sys.stdout.buffer.write(said)
    return 0 if said.startswith(b"ready") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
