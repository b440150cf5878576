"""Where the project's runners are written down: the rules of ``project``, without its imports.

A wrong guess is harmless: a runner is of no project, and what it forks finds its own.
"""

from __future__ import annotations

import json
import os

__all__ = ["runners_of", "state_of"]

_LIMIT = 65536


def state_of(words: list[str]) -> str | None:
    """The state folder that ``jupyter mlops run`` with these words is about, if it exists."""
    named = os.environ.get("JUPYTER_MLOPS_HOME")
    if named:
        return os.path.realpath(os.path.expanduser(named))
    folder = os.getcwd()
    for word in words:
        if word.endswith((".ipynb", "pipeline.yaml")) and os.path.isfile(word):
            folder = os.path.dirname(os.path.realpath(word))
            break
        if os.path.isfile(os.path.join(word, "pipeline.yaml")):
            folder = os.path.realpath(word)
            break
    home = os.path.realpath(os.path.expanduser("~"))
    while os.path.dirname(folder) != folder:
        if folder != home and os.path.isdir(os.path.join(folder, ".mlops")):
            return os.path.join(folder, ".mlops")
        folder = os.path.dirname(folder)
    return None


def runners_of(state: str, interpreter: str) -> list[str]:
    """The sockets of the runners of this interpreter that the agent has written down."""
    try:
        with open(os.path.join(state, "agent", "runners.json"), "rb") as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
                return []
            data = json.loads(file.read(_LIMIT))
        if data["protocol"] != 1 or data["state"] != state:
            return []
        return [
            str(one["socket"]) for one in data["runners"] if one["interpreter"] == interpreter
        ]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return []
