"""What a machine or a container has, and what steps ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mlops.pipelines.resources import Capacity, Demand, demand_of, machine

GIB = 2**30


def system(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_what_a_step_asks_for() -> None:
    assert demand_of({}) == Demand(1.0, 0, 0)
    assert demand_of({"cpus": 0.5, "gpus": 2, "memory": "3Gi"}) == Demand(0.5, 2, 3 * GIB)
    assert demand_of({"memory": "512Mi"}).memory == GIB // 2


def test_a_container_has_what_its_groups_allow(tmp_path: Path) -> None:
    root = system(
        tmp_path,
        {
            "proc/self/cgroup": "0::/batch/job\n",
            "proc/meminfo": f"MemTotal: {64 * GIB // 1024} kB\n",
            "sys/fs/cgroup/batch/job/cpu.max": "max 100000\n",
            "sys/fs/cgroup/batch/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/batch/job/memory.max": f"{8 * GIB}\n",
            "sys/fs/cgroup/batch/memory.max": f"{4 * GIB}\n",
        },
    )
    assert machine({}, root) == Capacity(0.5, (), 4 * GIB)


def test_cgroups_of_the_first_version(tmp_path: Path) -> None:
    root = system(
        tmp_path,
        {
            "proc/self/cgroup": "3:memory:/job\n2:cpu,cpuacct:/job\n1:name=systemd:/job\n",
            "proc/meminfo": f"MemTotal: {GIB // 1024} kB\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "25000\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert machine({}, root) == Capacity(0.25, (), GIB)


@pytest.mark.parametrize(
    ("visible", "ids"),
    [(None, ("0", "1")), ("1", ("1",)), ("", ()), ("-1", ()), ("0, GPU-8a,-1,2", ("0", "GPU-8a"))],
)
def test_gpus_are_those_that_cuda_would_see(
    tmp_path: Path, visible: str | None, ids: tuple[str, ...]
) -> None:
    for number in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "proc/driver/nvidia/gpus" / number).mkdir(parents=True)
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert machine(environment, tmp_path).gpu_ids == ids


def test_this_machine_has_something() -> None:
    here = machine()
    assert here.cpus > 0
    assert here.memory is None or here.memory > 2**20
    assert here.lacks(Demand(cpus=here.cpus)) is None


@pytest.mark.parametrize(
    ("demand", "words"),
    [
        (Demand(cpus=3), "3 cpus, and this machine has 2"),
        (Demand(gpus=1), "1 gpus, and this machine has 0"),
        (Demand(memory=4 * GIB), "4 GiB of memory, and this machine has 1.5"),
    ],
)
def test_what_is_lacking_is_said(demand: Demand, words: str) -> None:
    assert Capacity(2, (), 3 * GIB // 2).lacks(demand) == words
