"""A disk that is really full: cells are intact, each lost run is named once, nothing corrupt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# The journals are read where the file system is: it goes with the command.
READ = """
import json, sys
from pathlib import Path
from jupyter_mlops.journal import BlobStore, list_sessions, read_session
folder = Path(".mlops/journal")
runs = []
for path in list_sessions(folder):
    session = read_session(path)
    assert session.damage == (), session.damage
    assert session.unfinished == (), session.unfinished
    for run in session.runs:
        blobs = [model.blob for model in run.models if model.blob]
        for blob in blobs:
            BlobStore(folder).get(blob)
        reasons = [model.reason for model in run.models]
        runs.append([run.tags["cell"], run.metrics, len(blobs), reasons])
print(json.dumps(runs))
"""


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("unshare") is None, reason="needs unshare"
)
def test_a_full_disk(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    script = (
        'mount -t tmpfs -o size=2m tmpfs "$1" && cd "$1" && touch pyproject.toml && '
        '"$2" -W ignore -m tests.faults.full_disk_child && "$2" -c "$3"'
    )
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(
        ["unshare", *user, "--mount", "sh", "-c", script, "sh", str(work), sys.executable, READ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    if "unshare failed" in done.stderr or "permission denied" in done.stderr.lower():
        pytest.skip("this machine lets nobody mount")
    assert done.returncode == 0, done.stderr
    cells, runs = map(json.loads, done.stdout.splitlines())
    assert [cell["number"] for cell in cells] == list(range(10))
    for cell in cells:
        assert not cell["failed"]
        assert cell["half"] == cell["number"] / 2
        assert cell["output"] == f"cell {cell['number']}"
    for cell in cells[:4] + cells[8:]:
        assert cell["warnings"] == []
    for cell in cells[4:8]:
        (warning,) = cell["warnings"]
        assert warning.startswith("jupyter_mlops: this run")
        assert "No space left on device" in warning
    # What did not fit was kept in memory, and is written once there is room again.
    assert [run[0] for run in runs] == [str(number) for number in range(10)]
    for number, metrics, _, _ in runs:
        assert metrics == {"half": int(number) / 2}
    # A model is too large to be kept in memory for later: its run says why it is not there.
    kept = {number: (blobs, reasons) for number, _, blobs, reasons in runs}
    for number in ("1", "3", "9"):
        assert kept[number] == (1, [None])
    for number in ("5", "7"):
        assert kept[number] == (0, ["cannot be written: No space left on device"])
