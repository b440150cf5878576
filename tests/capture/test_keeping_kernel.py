"""What real kernels keep of the inputs of their tracked cells, and what a kill leaves of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.model.events import BEING_KEPT, InputRecord
from jupyter_mlops.project import Project
from jupyter_mlops.snapshots.service import existing_store, restore
from jupyter_mlops.tracking.amending import amended

from .conftest import start_kernel
from .drivers import Kernel

DATA = """\
%load_ext jupyter_mlops
import numpy as np, pandas as pd
pd.DataFrame({"a": range(100), "b": ["x", "y"] * 50}).to_csv("flights.csv", index=False)
"""


def inputs(kernel: Kernel) -> list[dict[str, InputRecord]]:
    """The inputs of each run, with what became known later."""
    session = kernel.session
    runs = [amended(run, session.amendments) for run in session.runs]
    return [{record.name: record for record in run.inputs} for run in runs]


def until(done: Callable[[], Any], timeout: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := done()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def all_kept(kernel: Kernel, run: int = -1) -> dict[str, InputRecord] | None:
    found = inputs(kernel)[run]
    done = found and all(r.snapshot or r.reason not in PENDING for r in found.values())
    return found if done else None


PENDING = (None, "it is being digested", BEING_KEPT)


def test_a_cell_s_inputs_become_versions(kernel: Kernel, project: Project) -> None:
    kernel.run(DATA)
    time.sleep(0.1)  # A file that was written a moment ago is read again.
    outcome = kernel.run("%%track\nframe = pd.read_csv('flights.csv')")
    assert outcome.card is not None
    assert outcome.stderr == ""
    found = until(lambda: all_kept(kernel))
    record = found["flights.csv"]
    assert (record.snapshot, record.how) == ("flights.csv@1", "read")
    assert record.added > 0
    stored = restore(project, "flights.csv@1")
    assert stored.read() == (project.root / "flights.csv").read_bytes()
    run = kernel.session.runs[-1]
    meta = existing_store(project).resolve("flights.csv@1").meta
    assert (meta["automatic"], meta["run"], meta["session"]) == (True, run.run_id, run.session)

    kernel.run("%%track\nn = len(frame)")
    record = until(lambda: all_kept(kernel))["frame"]
    assert (record.snapshot, record.source) == ("session/frame@1", "flights.csv")
    pd.testing.assert_frame_equal(
        restore(project, "session/frame@1"), pd.read_csv(project.root / "flights.csv")
    )
    # What is the newest version already makes no new one.
    kernel.run("%%track\nn = len(frame) + 1")
    record = until(lambda: all_kept(kernel))["frame"]
    assert (record.snapshot, record.added) == ("session/frame@1", 0)
    kernel.run("frame.loc[0, 'a'] = -1")
    kernel.run("%%track\nn = len(frame) + 2")
    assert until(lambda: all_kept(kernel))["frame"].snapshot == "session/frame@2"


def test_the_card_on_the_screen_is_brought_up_to_date(kernel: Kernel) -> None:
    kernel.run(DATA)
    kernel.send("%%track\nframe = pd.read_csv('flights.csv')")
    names, update = [], None
    while update is None:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["msg_type"] in ("display_data", "update_display_data"):
            names.append(message["content"]["transient"]["display_id"])
        if message["msg_type"] == "update_display_data":
            update = message["content"]["data"]
    assert names == [f"jupyter-mlops-{kernel.session.runs[0].run_id}"] * 2
    (row,) = update["application/vnd.jupyter-mlops.run+json"]["inputs"]
    assert row["snapshot"] == "flights.csv@1"
    assert row["added"] > 0
    assert "flights.csv@1" in update["text/html"]
    assert "of data added" in update["text/html"]


def test_what_comes_right_after_the_cell_does_not_tear_it(kernel: Kernel, project: Project) -> None:
    kernel.run("%load_ext jupyter_mlops\nimport numpy as np, pandas as pd")
    kernel.run(
        "values = np.arange(3_000_000.0)\nframe = pd.DataFrame({'v': values})\n"
        "shared = pd.DataFrame({'v': values}, copy=False)\narray = np.arange(1_000_000)"
    )
    # One request: nothing is between the end of the cell and the changes but the hooks.
    first = kernel.send("%%track\nn = len(frame) + len(array) + len(shared)")
    second = kernel.send("array[:] = 0\nframe.loc[:, 'v'] = 0.0\nvalues[:] = 0")
    kernel.wait(first)
    kernel.wait(second)
    found = until(lambda: all_kept(kernel))
    assert found["frame"].snapshot
    assert found["array"].snapshot
    expected = pd.DataFrame({"v": np.arange(3_000_000.0)})
    pd.testing.assert_frame_equal(restore(project, found["frame"].snapshot), expected)
    np.testing.assert_array_equal(restore(project, found["array"].snapshot), np.arange(1_000_000))
    shared = found["shared"]
    if shared.snapshot is not None:
        pd.testing.assert_frame_equal(restore(project, shared.snapshot), expected)
    else:
        assert "change" in (shared.reason or "")  # It changed, or may have and was not copied.


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({"JUPYTER_MLOPS_SNAPSHOT_INPUTS": "never"}, ""),
        ({"JUPYTER_MLOPS_CAPTURE": "minimal"}, ""),
        ({"MLFLOW_TRACKING_URI": "https://tracking.invalid"}, ""),
        ({}, " --no-snapshots"),
    ],
    ids=["never", "minimal", "remote", "option"],
)
def test_what_may_not_be_kept_is_not(project: Project, env: dict[str, str], line: str) -> None:
    with start_kernel(project.root, JUPYTER_MLOPS_AGENT="false", **env) as kernel:
        kernel.run(DATA)
        outcome = kernel.run(f"%%track{line}\nframe = pd.read_csv('flights.csv')")
        assert "unknown" not in outcome.stderr
        kernel.run("%unload_ext jupyter_mlops")
        record = inputs(kernel)[0]["flights.csv"]
        assert record.digest is not None
        assert record.snapshot is None
        assert not (project.state / "snapshots" / "packs").exists()


def test_a_private_cell_s_data_are_not_kept(kernel: Kernel) -> None:
    kernel.run("%load_ext jupyter_mlops\nimport pandas as pd")
    kernel.run("mine = pd.DataFrame({'a': [1]})", metadata={"tags": ["private"]})
    kernel.run("ours = pd.DataFrame({'a': [2]})")
    kernel.run("%%track\nn = len(mine) + len(ours)")
    found = until(lambda: all_kept(kernel))
    assert found["mine"].snapshot is None
    assert found["mine"].reason == "not kept: a private cell made it"
    assert found["ours"].snapshot == "session/ours@1"


def test_a_kernel_that_ends_finishes_what_is_quickly_done(kernel: Kernel) -> None:
    kernel.run("%load_ext jupyter_mlops\nimport numpy as np")
    kernel.run("array = np.arange(100_000)")
    kernel.run("%%track\nn = len(array)")
    kernel.client.shutdown()
    until(lambda: not kernel.manager.is_alive())
    assert inputs(kernel)[0]["array"].snapshot == "session/array@1"


def test_a_kill_while_inputs_are_kept_leaves_a_clean_store(
    kernel: Kernel, project: Project
) -> None:
    kernel.run("%load_ext jupyter_mlops\nimport numpy as np, pandas as pd")
    kernel.run("small = np.arange(10)\nrng = np.random.default_rng(0)")
    kernel.run("%%track\nn = len(small)")
    until(lambda: all_kept(kernel))
    kernel.run("frames = {f'c{i}': rng.normal(size=500_000) for i in range(6)}")
    kernel.run("frame = pd.DataFrame(frames)\ndel frames")
    request = kernel.send("%%track\nn = len(frame)")
    packs = project.state / "snapshots" / "packs"
    kernel.wait(request)
    until(lambda: [p for p in os.listdir(packs) if not p.endswith(".pack")] or all_kept(kernel))
    kernel.manager.provisioner.process.send_signal(signal.SIGKILL)  # type: ignore[union-attr]
    until(lambda: not kernel.manager.is_alive())
    store = existing_store(project)
    report = store.verify()
    assert report.ok, report
    names = {version.spec for version in store.versions()}
    assert "session/small@1" in names
    np.testing.assert_array_equal(restore(project, "session/small@1"), np.arange(10))
    # Nothing stands in the way of the next one, and gc takes what was left over.
    store.gc(dry_run=False, grace=0.0)
    assert store.verify().ok
    for version in store.versions():
        restore(project, version.spec)
