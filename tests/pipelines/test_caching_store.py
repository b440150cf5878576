"""The store of the step cache: whole entries or none, a bound, and runners that meet."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.pipelines.caching import CacheStore
from jupyter_mlops.pipelines.caching.code import read_cells
from jupyter_mlops.pipelines.caching.notebooks import restored
from jupyter_mlops.project import Project

from .lab import Lab, outputs
from .shell import ShellExecutor

KEEPER = """
import os, sys
from jupyter_mlops.pipelines.caching import CacheStore
from jupyter_mlops.project import open_project
store = CacheStore(open_project(sys.argv[1]))
print("go", flush=True)
while True:
    number = os.urandom(2).hex()
    data = {"pipeline": "p", "step": number[0], "run": "r", "kept": 0.0, "parts": {}, "depends": {}}
    store.add(number * 16, data, {"output a": os.urandom(50_000), "notebook": number.encode()})
    store.evict(2_000_000)
"""


def entry(step: str = "s", pipeline: str = "p") -> dict[str, Any]:
    return {"pipeline": pipeline, "step": step, "run": "r", "kept": 1.0, "parts": {}, "depends": {}}


def whole(store: CacheStore) -> int:
    """How many entries there are; each has all of its contents, unharmed."""
    count = 0
    for summary in store.summaries():
        for found in store.entries(summary.pipeline, summary.step, summary.key):
            for name in found.data["contents"]:
                assert store.read(found, name) is not None, (found.path, name)
            count += 1
    return count


def kill_keepers(project: Project, rounds: int) -> None:
    store = CacheStore(project)
    for _ in range(rounds):
        keepers = [
            subprocess.Popen(
                [sys.executable, "-c", KEEPER, str(project.root)], stdout=subprocess.PIPE
            )
            for _ in range(2)
        ]
        for keeper in keepers:
            assert keeper.stdout is not None
            keeper.stdout.readline()
        time.sleep(random.uniform(0.0, 0.3))
        for keeper in keepers:
            keeper.send_signal(signal.SIGKILL)
            keeper.communicate()
        whole(store)
    store.add("f" * 64, entry(), {"notebook": b"x"})
    assert whole(store) > 0
    store.evict(1)  # sweeps what was left, then removes all
    assert not [p for p in (store.folder / "objects").rglob("*") if p.is_file()]


def test_killed_keepers_leave_no_half_entry(project: Project) -> None:
    kill_keepers(project, 2)


@pytest.mark.full
def test_many_killed_keepers(project: Project) -> None:
    kill_keepers(project, 100)


def test_what_was_used_longest_ago_goes_first_and_shared_contents_stay(project: Project) -> None:
    store = CacheStore(project)
    store.add("a" * 64, entry(), {"notebook": b"shared" * 1000, "output x": b"1" * 5000})
    store.add("b" * 64, entry(), {"notebook": b"shared" * 1000})
    store.add("c" * 64, entry("t", "q"), {"notebook": b"3" * 5000})
    for key, moment in (("a", 3), ("b", 1), ("c", 2)):
        for summary in store.summaries():
            if summary.key[0] == key:
                (found,) = store.entries(summary.pipeline, summary.step, summary.key)
                os.utime(found.path, (moment, moment))
    before = store.size()
    assert store.evict(before).entries == 0
    removed = store.evict(before - 1)
    assert (removed.entries, [s.key[0] for s in store.summaries()]) == (1, ["a", "c"])
    removed = store.evict(store.size() - 1)
    assert (removed.entries, [s.key[0] for s in store.summaries()]) == (1, ["a"])
    assert whole(store) == 1
    assert store.clear("q").entries == 0
    assert store.clear("p", "s").entries == 1
    assert store.size() == 0


def test_folders_are_private_and_the_secret_stays(project: Project) -> None:
    store = CacheStore(project)
    secret = store.secret()
    store.add("a" * 64, entry(), {"notebook": b"x"})
    assert CacheStore(project).secret() == secret
    for path in [store.folder, *store.folder.rglob("*")]:
        assert not path.stat().st_mode & 0o077, path


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b"\xff", b'{"digest": "", "entry": "{}"}'])
def test_a_damaged_entry_is_none_and_is_swept(project: Project, damage: bytes) -> None:
    store = CacheStore(project)
    store.add("a" * 64, entry(), {"notebook": b"x"})
    (found,) = store.entries("p", "s")
    found.path.write_bytes(damage)
    assert store.entries("p", "s") == []
    store.evict(0)
    assert not found.path.exists()


def test_steps_may_have_any_name(project: Project) -> None:
    store = CacheStore(project)
    store.add("a" * 64, entry("../../x", "a/b"), {"notebook": b"x"})
    assert [e.key for e in store.entries("a/b", "../../x")] == ["a" * 64]
    assert all(p.is_relative_to(store.folder) for p in store.folder.rglob("*.json"))
    store.refuse("a/b", "../../x", ["why"], "k")
    assert store.refused("a/b", "../../x") == ("k", ["why"])


@pytest.fixture
def executor() -> Iterator[ShellExecutor]:
    made = ShellExecutor()
    yield made
    made.close()


def test_of_two_runs_that_need_the_same_step_one_computes_it(
    project: Project, executor: ShellExecutor
) -> None:
    other = ShellExecutor()
    labs = [Lab(project, executor), Lab(project, other)]
    labs[0].one("import time\ntime.sleep(0.5)", "with open(out, 'w') as f:\n    f.write('x')")
    made: list[Any] = []
    threads = [threading.Thread(target=lambda lab=lab: made.append(lab.run())) for lab in labs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sorted(outcomes[0].status for outcomes, _ in made) == ["cached", "finished"]
    assert len(executor.runs) + len(other.runs) == 1
    assert outputs(made[0][1]) == outputs(made[1][1])


def test_a_step_that_fails_is_not_kept_and_holds_nothing(
    project: Project, executor: ShellExecutor
) -> None:
    lab = Lab(project, executor)
    lab.one("raise ValueError")
    for _ in range(2):
        (step,), _folder = lab.run()
        assert step.status == "failed"
    assert CacheStore(project).summaries() == []
    assert len(executor.runs) == 2


def test_a_notebook_that_does_not_fit_is_not_restored() -> None:
    def notebook(*sources: str) -> dict[str, Any]:
        cells = [
            {"cell_type": "code", "source": s, "metadata": {}, "outputs": [], "execution_count": 1}
            for s in sources
        ]
        return {"cells": cells, "metadata": {}}

    assert restored(notebook("a", "b"), notebook("a"), {}, {}) is None
    made = restored(notebook("a = 'old'"), notebook("# c", "a = 'old'"), {"old": "new"}, {"run": 1})
    assert made is not None
    assert [c["source"] for c in made["cells"]] == ["# c", "a = 'new'"]
    assert [c["execution_count"] for c in made["cells"]] == [None, 1]
    assert made["metadata"]["mlops"]["cache"] == {"run": 1}


@pytest.mark.parametrize(
    ("source", "strange"),
    [
        ("%matplotlib inline\nx = 1", ()),
        ("%%time\nx = 1", ()),
        ("%time x = 1", ()),
        ("!ls", ("!ls",)),
        ("x = !ls", ("!ls",)),
        ("%run other.py", ("%run",)),
        ("%%bash\nls", ("%%bash",)),
        ("x?", ("x?",)),
        ("x = '''\n%run other.py\n'''", ()),
        ("await f()", ()),
    ],
)
def test_magics_that_cannot_be_followed_are_named(source: str, strange: tuple[str, ...]) -> None:
    cell = {"cell_type": "code", "source": source, "metadata": {}}
    (read,) = read_cells({"cells": [cell]})
    assert read.tree is not None
    assert read.strange == strange


def test_cells_of_comments_do_not_count(tmp_path: Path) -> None:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "source": source, "metadata": {}}
        for source in ("", "# nothing", ["x = 1\n", "y = 2"])
    ]
    (read,) = read_cells({"cells": cells})
    assert (read.number, read.place, read.title) == (3, 2, "x = 1")
