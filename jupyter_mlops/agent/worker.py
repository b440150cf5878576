"""The child of the agent that may import mlflow: ``python -m jupyter_mlops.agent.worker ROOT``.

One JSON object a line on stdin, ``{"id", "op", "args"}``; one a line on stdout, ``{"id",
"result"}`` or ``{"id", "error": MlopsError.to_dict()}``.  Whatever else is printed goes to stderr,
the worker's log.  The child ends when stdin does: with its agent.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import load_config
from ..errors import MlopsError, UsageError
from ..model.registry import ModelVersion, key_metric
from ..project import Project, open_project
from . import BEGUN

if TYPE_CHECKING:
    from ..registry import AliasChange

__all__ = ["OPERATIONS", "main"]

# How long an operation that is in hand may go on when the agent has gone.
_ORPHAN_SECONDS = 60.0


def main(arguments: list[str]) -> int:
    """Answer requests until stdin ends."""
    project = open_project(arguments[0], create=False)
    gc.set_threshold(50_000, 20, 50)  # as in the command line
    # The pipe to the agent must see nothing but answers: what prints, prints to the log.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    while line := requests.get():
        request = json.loads(line)
        # A request that was begun is not repeated when this process dies: it may have had effects.
        try:
            answers.write(BEGUN.decode())
            answers.flush()
        except BrokenPipeError:
            return 0
        try:
            result = {"result": _run(project, request["op"], request.get("args") or {})}
        except MlopsError as error:
            result = {"error": error.to_dict()}
        except Exception as error:
            traceback.print_exc()
            failure = MlopsError(f"{request['op']}: {type(error).__name__}: {error}")
            result = {"error": failure.to_dict()}
        try:
            answers.write(json.dumps({"id": request["id"]} | result, default=_json) + "\n")
            answers.flush()
        except BrokenPipeError:
            return 0
    return 0


def _read(requests: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        requests.put(line)
    requests.put(b"")
    # The agent is gone.  Delivery picks up where it was cut off, so a hung one need not be waited
    # for; an operation that is nearly done may finish.
    time.sleep(_ORPHAN_SECONDS)
    os._exit(1)


def _run(project: Project, op: str, args: dict[str, Any]) -> Any:
    operation = OPERATIONS.get(op)
    if operation is None:
        raise UsageError(
            f"there is no operation {op!r}", hint=f"There are: {', '.join(OPERATIONS)}."
        )
    try:
        return operation(project, **args)
    except TypeError as error:
        # Wrong arguments end before the operation's own frame; anything deeper is a fault of ours.
        trace = error.__traceback__
        if trace is not None and trace.tb_next is None:
            raise UsageError(f"{op}: {error}") from error
        raise


def _hello(project: Project) -> dict[str, Any]:
    return {"pid": os.getpid(), "python": sys.version.split()[0]}


def _prepare(project: Project) -> dict[str, Any]:
    """Import what a delivery needs, and open the store if it is a file here: nothing else."""
    from ..tracking import prepare

    prepare(project, load_config(project.root))
    return {}


def _deliver(
    project: Project, wait_lease: float = 0.0, run: str | None = None
) -> dict[str, Any]:  # fmt: skip
    from ..tracking import deliver, find_run

    report = deliver(project, load_config(project.root), wait_lease=wait_lease)
    found = run is not None and find_run(project, run).mlflow_run_id is not None
    return {
        "found": found,
        "delivered": report.delivered,
        "waiting": report.waiting,
        "busy": report.busy,
        "errors": list(report.errors),
        "warnings": list(report.warnings),
        "versions": [_version(version) for version in report.versions],
    }


def _refresh(project: Project) -> dict[str, Any]:
    from ..tracking import refresh

    refresh(project, load_config(project.root))
    return {}


def _register(project: Project, run: str, name: str, model: str | None = None) -> dict[str, Any]:
    from ..registry import register_run

    return _version(register_run(project, load_config(project.root), run, name, model))


def _set_alias(project: Project, name: str, version: int, alias: str, by: str) -> dict[str, Any]:
    from ..registry import set_alias

    return _change(set_alias(project, load_config(project.root), name, version, alias, by=by))


def _revert_alias(
    project: Project, name: str, alias: str = "champion", by: str = ""
) -> dict[str, Any]:
    from ..registry import revert_alias

    return _change(revert_alias(project, load_config(project.root), name, alias, by=by))


def _run_details(project: Project, run: str) -> dict[str, Any]:
    from ..tracking import details_dict, run_details

    return details_dict(run_details(project, load_config(project.root), run))


def _delete_run(project: Project, run: str) -> dict[str, Any]:
    from ..tracking import delete_run

    return delete_run(project, load_config(project.root), run).to_dict()


def _restore_run(project: Project, run: str) -> dict[str, Any]:
    from ..tracking import restore_run

    return restore_run(project, load_config(project.root), run).to_dict()


def _rename_run(project: Project, run: str, name: str) -> dict[str, Any]:
    from ..tracking import rename_run

    return rename_run(project, load_config(project.root), run, name).to_dict()


def _note_run(project: Project, run: str, note: str) -> dict[str, Any]:
    from ..tracking import note_run

    return note_run(project, load_config(project.root), run, note).to_dict()


def _promote(
    project: Project, notebook: str, name: str | None = None, run: str | None = None
) -> dict[str, Any]:
    from ..promotion import promote

    done = promote(project, load_config(project.root), Path(notebook), name=name, run=run)
    return {
        "name": done.name,
        "folder": str(done.folder),
        "verdict": done.verdict,
        "warnings": list(done.warnings),
        "undo": done.undo,
    }


OPERATIONS: dict[str, Callable[..., Any]] = {
    "hello": _hello,
    "prepare": _prepare,
    "deliver": _deliver,
    "refresh": _refresh,
    "register": _register,
    "set_alias": _set_alias,
    "revert_alias": _revert_alias,
    "promote": _promote,
    "run_details": _run_details,
    "delete_run": _delete_run,
    "restore_run": _restore_run,
    "rename_run": _rename_run,
    "note_run": _note_run,
}


def _version(version: ModelVersion) -> dict[str, Any]:
    key = key_metric(version.metrics)
    return asdict(version) | {
        "uri": version.uri,
        "key_metric": None if key is None else {"name": key, "value": version.metrics[key]},
    }


def _change(change: AliasChange) -> dict[str, Any]:
    return {
        "name": change.name,
        "alias": change.alias,
        "version": change.after,
        "previous": change.before,
        "undo": change.undo,
    }


def _json(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else repr(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
