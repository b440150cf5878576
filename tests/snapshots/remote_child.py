"""A process that pushes or pulls everything and is killed, for ``test_interrupted_remotes.py``.

::

    remote_child push|pull FOLDER URL    say READY, then begin; say DONE
"""

from __future__ import annotations

import sys
from pathlib import Path

from jupyter_mlops.snapshots.pulling import pull
from jupyter_mlops.snapshots.pushing import push
from jupyter_mlops.snapshots.remotes import open_remote
from jupyter_mlops.snapshots.store import SnapshotStore

if __name__ == "__main__":
    what, folder, url = sys.argv[1:]
    remote = open_remote(url)
    remote.files("refs")  # What a backend needs at first is not what is to be interrupted.
    print("READY", flush=True)
    {"push": push, "pull": pull}[what](SnapshotStore(Path(folder)), remote, threads=2)
    print("DONE", flush=True)
