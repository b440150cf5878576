"""``python -P -m jupyter_mlops.tuning.worker ROOT``: runs combinations, one after the other.

A request a line on stdin, an answer a line on what was stdout; what else is printed goes to stderr.
When the process that asks is gone, the run that goes on is ended: nobody would know of it.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from typing import Any

from ..config import load_config
from ..errors import MlopsError
from ..pipelines import run_pipeline, warm_run
from ..project import Project, open_project

__all__ = ["main"]


def main() -> int:
    """Serve requests until stdin ends; return the exit code."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    project = open_project(sys.argv[1], create=False)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    busy = threading.Event()

    def listen() -> None:
        for line in sys.stdin:
            requests.put(line)
        requests.put("")
        if busy.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=listen, name="requests", daemon=True).start()
    first = _next(requests)
    if not first:
        return 0
    request = json.loads(first)
    with warm_run(project, load_config(project.root), request["target"]):
        while request is not None:
            busy.set()
            answer = _answer(project, request)
            busy.clear()
            try:
                answers.write(json.dumps(answer, default=str) + "\n")
            except OSError:
                return 1
            line = _next(requests)
            request = json.loads(line) if line else None
    return 0


def _next(requests: queue.SimpleQueue[str]) -> str:
    while True:
        try:  # the timeout lets signals through on systems where a wait holds them back
            return requests.get(timeout=1.0)
        except queue.Empty:
            continue


def _answer(project: Project, request: dict[str, Any]) -> dict[str, Any]:
    try:
        outcome = run_pipeline(
            project,
            load_config(project.root),
            request["target"],
            request["parameters"],
            register=False,
            timeout=request["timeout"],
            data=request["data"],
            trigger=request["trigger"],
            parent_run=request["parent"],
            deliver="later",
        )
    except MlopsError as error:
        return {"job": request["job"], "error": error.to_dict()}
    except Exception as error:  # the answer names it; the next request may do better
        message = f"{type(error).__name__}: {error}"
        return {"job": request["job"], "error": {"message": message, "exit_code": 1}}
    return {"job": request["job"], "outcome": outcome.to_dict()}


if __name__ == "__main__":
    sys.exit(main())
