"""The command line in a child process of the kernel, its output streamed into the cell."""

from __future__ import annotations

import codecs
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO

__all__ = ["child_environment", "run_verb"]

_MEANINGS = {
    1: "the notebook, step or job failed",
    2: "bad usage or input",
    3: "a gate said no",
    4: "the replay differed",
    5: "a service did not answer",
    130: "interrupted",
}
# What says which kernel or run this process is; a child is another one.
_OURS = ("JPY_", "PYDEVD_", "DEBUGPY_")
_OUR_NAMES = {
    "JUPYTER_MLOPS_NOTEBOOK",
    "JUPYTER_MLOPS_PARENT_RUN",
    "JUPYTER_MLOPS_STEP",
    "MLFLOW_RUN_ID",
}
_GRACE = 2.0  # Seconds that a child which has closed its output gets to end.


def run_verb(words: Sequence[str]) -> int:
    """Run ``jupyter mlops WORDS`` under this interpreter; print what it prints; return its code.

    An interrupt of the cell is passed on to the child, a second one kills it; either way the cell
    is then interrupted.  A code other than 0 is said in one line and raises nothing.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "jupyter_mlops", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(os.environ),
        # In a session of its own: Jupyter interrupts the kernel's whole process group, and the
        # child must get the signal once.
        start_new_session=os.name != "nt",
    )
    try:
        interrupted = _stream(process)
    finally:
        if process.poll() is None and not _ends(process):
            process.kill()
        code = process.wait()
    code = 128 - code if code < 0 else code
    if code:
        meaning = "interrupted" if interrupted else _MEANINGS.get(code, "it did not end by itself")
        verb = words[0] if words else ""
        print(f"jupyter mlops {verb}: exit code {code}, {meaning}", file=sys.stderr)
    if interrupted:
        raise KeyboardInterrupt
    return code


def _stream(process: subprocess.Popen[bytes]) -> bool:
    """Print what the child prints until it is done; return whether it was interrupted."""
    interrupted = False
    chunks: queue.SimpleQueue[tuple[bool, str] | None] = queue.SimpleQueue()
    open_pipes = 0
    for pipe, is_error in ((process.stdout, False), (process.stderr, True)):
        threading.Thread(target=_read, args=(pipe, is_error, chunks), daemon=True).start()
        open_pipes += 1
    while open_pipes:
        try:
            chunk = chunks.get()
            if chunk is None:
                open_pipes -= 1
                continue
            stream = sys.stderr if chunk[0] else sys.stdout
            stream.write(chunk[1])
            stream.flush()
        except KeyboardInterrupt:
            if interrupted:  # The person means it.
                process.kill()
                break
            interrupted = True
            process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
    return interrupted


def _ends(process: subprocess.Popen[bytes]) -> bool:
    """Give the child a little time to end by itself."""
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        return False
    return True


def child_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without what belongs to this kernel, and with unbuffered UTF-8 output."""
    kept = {
        name: value
        for name, value in env.items()
        if not name.startswith(_OURS) and name not in _OUR_NAMES
    }
    if kept.get("MPLBACKEND", "").startswith("module://"):
        del kept["MPLBACKEND"]  # A backend of this kernel's front end.
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8:replace"}


def _read(
    pipe: IO[bytes], is_error: bool, chunks: queue.SimpleQueue[tuple[bool, str] | None]
) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with pipe:
        while data := os.read(pipe.fileno(), 65536):
            chunks.put((is_error, decoder.decode(data)))
    chunks.put(None)
