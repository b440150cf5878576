"""What a process hands down to a child that is no part of its environment: limits, priority ...

The client says what its own are; the forked kernel takes them on, and where it cannot, the kernel
is to be started cold.
"""

from __future__ import annotations

import contextlib
import os
import resource
from typing import Any

__all__ = ["adopt", "here", "obstacle"]

_LIMITS = [name for name in dir(resource) if name.startswith("RLIMIT_")]


def here() -> dict[str, Any]:
    """This process's standing, as JSON."""
    limits = {}
    for name in _LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limits[name] = list(resource.getrlimit(getattr(resource, name)))
    return {
        "ids": [*os.getresuid(), *os.getresgid(), *sorted(os.getgroups())],
        "cgroup": _text("/proc/self/cgroup"),
        "umask": _umask(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "cpus": sorted(os.sched_getaffinity(0)),
        "limits": limits,
    }


def obstacle(mine: dict[str, Any], asked: dict[str, Any]) -> str | None:
    """Why a fork of a process with standing ``mine`` cannot take on ``asked``."""
    if mine["ids"] != asked["ids"]:
        return "it runs as another user or group"
    if mine["cgroup"] != asked["cgroup"]:
        return "it runs in another control group"
    if mine["nice"] > asked["nice"]:
        return "it runs at a lower priority"
    for name, (_soft, hard) in asked["limits"].items():
        own = mine["limits"].get(name)
        if own is None or _number(hard) > _number(own[1]):
            return f"its limit {name} is lower"
    return None


def adopt(mine: dict[str, Any], asked: dict[str, Any]) -> None:
    """Take on ``asked``; what ``obstacle`` found nothing against."""
    os.umask(asked["umask"])
    if asked["nice"] != mine["nice"]:
        os.setpriority(os.PRIO_PROCESS, 0, asked["nice"])
    if asked["cpus"] != mine["cpus"]:
        os.sched_setaffinity(0, asked["cpus"])
    for name, pair in asked["limits"].items():
        if pair != mine["limits"].get(name):
            resource.setrlimit(getattr(resource, name), tuple(pair))


def _number(limit: int) -> float:
    return float("inf") if limit == resource.RLIM_INFINITY else limit


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _umask() -> int:
    # Asked of the system: setting it to read it would be seen by other threads for a moment.
    for line in _text("/proc/self/status").splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o022
