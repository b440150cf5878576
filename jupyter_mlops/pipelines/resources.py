"""What steps ask for and what this machine has: processors, GPUs and memory.

A container has what its control group allows (cgroups 1 and 2, with all the groups above it), not
what the machine has that it runs on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Capacity", "Demand", "demand_of", "machine"]

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_UNLIMITED = 2**60  # cgroup 1 has a number for "no limit", near 2**63


@dataclass(frozen=True, slots=True)
class Demand:
    """What a step needs while it runs: processors, whole GPUs, bytes of memory."""

    cpus: float = 1.0
    gpus: int = 0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Capacity:
    """What there is; ``gpu_ids`` name the GPUs as CUDA_VISIBLE_DEVICES does.

    ``memory`` is in bytes, ``None`` where it is not known.
    """

    cpus: float = 1.0
    gpu_ids: tuple[str, ...] = ()
    memory: int | None = None

    def lacks(self, demand: Demand) -> str | None:
        """What ``demand`` asks for beyond all that there is, in words, or ``None``."""
        if demand.cpus > self.cpus:
            return f"{demand.cpus:g} cpus, and this machine has {self.cpus:g}"
        if demand.gpus > len(self.gpu_ids):
            return f"{demand.gpus} gpus, and this machine has {len(self.gpu_ids)}"
        if self.memory is not None and demand.memory > self.memory:
            asked, there = demand.memory / 2**30, self.memory / 2**30
            return f"{asked:.3g} GiB of memory, and this machine has {there:.3g}"
        return None


def demand_of(resources: Mapping[str, Any]) -> Demand:
    """Read ``resources`` of a step; what it does not say is one processor and nothing else."""
    match = re.fullmatch(r"([0-9]+)([KMGT]i)", str(resources.get("memory", "0Ki")))
    return Demand(
        cpus=float(resources.get("cpus", 1.0)),
        gpus=int(resources.get("gpus", 0)),
        memory=int(match[1]) * _UNITS[match[2]] if match else 0,
    )


def machine(environment: Mapping[str, str] | None = None, system: Path = Path("/")) -> Capacity:
    """What this process may use; ``system`` is the root of the file system, for tests."""
    environment = os.environ if environment is None else environment
    cpus = float(_processors())
    groups = list(_control_groups(system))
    limits = [limit for group in groups for limit in _cpu_limits(group)]
    memory = [limit for group in groups for limit in _memory_limits(group)]
    whole = _whole_memory(system)
    return Capacity(
        cpus=min([cpus, *limits]),
        gpu_ids=_gpus(environment, system),
        memory=min([*memory, *([whole] if whole else [])], default=None),
    )


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def _control_groups(system: Path) -> Iterator[Path]:
    """The folders of this process's control groups and of those above them."""
    try:
        lines = (system / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        top = system / "sys/fs/cgroup"
        if controllers:
            names = set(controllers.split(","))
            if not names & {"cpu", "memory"}:
                continue
            top = top / ("memory" if "memory" in names else "cpu")
        group = top / path.lstrip("/")
        while group.is_relative_to(top):
            yield group
            group = group.parent


def _cpu_limits(group: Path) -> Iterator[float]:
    quota, period = [*_words(group / "cpu.max"), "", ""][:2]
    if not quota:
        quota = "".join(_words(group / "cpu.cfs_quota_us"))
        period = "".join(_words(group / "cpu.cfs_period_us"))
    if quota.isdigit() and period.isdigit() and int(quota) and int(period):
        yield int(quota) / int(period)


def _memory_limits(group: Path) -> Iterator[int]:
    for name in ("memory.max", "memory.limit_in_bytes"):
        text = "".join(_words(group / name))
        if text.isdigit() and 0 < int(text) < _UNLIMITED:
            yield int(text)


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return []


def _whole_memory(system: Path) -> int | None:
    words = _words(system / "proc/meminfo")
    if words[:1] == ["MemTotal:"] and words[1].isdigit():
        return int(words[1]) * 1024
    try:
        import psutil

        return int(psutil.virtual_memory().total)
    except (ImportError, OSError):
        return None


def _gpus(environment: Mapping[str, str], system: Path) -> tuple[str, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES allows, else those that NVIDIA's driver has."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        # As CUDA reads it: what follows an entry that names no device does not count.
        end = next((i for i, n in enumerate(names) if not n or n.startswith("-")), len(names))
        return tuple(names[:end])
    try:
        count = len(list((system / "proc/driver/nvidia/gpus").iterdir()))
    except OSError:
        return ()
    return tuple(str(number) for number in range(count))
