from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.capture.notebook import (
    find_notebook,
    kernel_id,
    notebook_argument,
    tagged_sources,
)

HERE = {"/w/a.ipynb", "/w/b.ipynb", "/w/sub/c.ipynb"}


def exists(path: Path) -> bool:
    return path.as_posix() in HERE


@pytest.mark.parametrize(
    ("case", "said", "path", "source"),
    [
        ("plain IPython", {}, None, None),
        ("our runner", {"runner": "/w/a.ipynb"}, "/w/a.ipynb", "runner"),
        ("our runner wins over everything",
         {"runner": "/w/a.ipynb", "vscode": "/w/b.ipynb", "session": "/w/sub/c.ipynb"},
         "/w/a.ipynb", "runner"),
        ("JupyterLab", {"session": "/w/a.ipynb"}, "/w/a.ipynb", "session"),
        ("renamed, and our server extension says so",
         {"session": "/w/old.ipynb", "server": "/w/b.ipynb"}, "/w/b.ipynb", "server"),
        ("renamed, and something else has the old name now",
         {"session": "/w/a.ipynb", "server": "/w/b.ipynb"}, "/w/b.ipynb", "server"),
        ("the server's word is stale",
         {"session": "/w/a.ipynb", "server": "/w/gone.ipynb"}, "/w/a.ipynb", "session"),
        ("renamed without our server extension: the old name is the best there is",
         {"session": "/w/old.ipynb"}, "/w/old.ipynb", "session"),
        ("VS Code", {"vscode": "/w/b.ipynb"}, "/w/b.ipynb", "vscode"),
        ("VS Code with a Jupyter Server: its session has a made-up name",
         {"vscode": "/w/b.ipynb", "session": "/w/b-jvsc-1234.ipynb"}, "/w/b.ipynb", "vscode"),
        ("VS Code, saved under another name, on a server",
         {"vscode": "/w/untitled.ipynb", "session": "/w/a.ipynb"}, "/w/a.ipynb", "session"),
        ("VS Code, not yet saved", {"vscode": "/w/New-1.ipynb"}, "/w/New-1.ipynb", "vscode"),
        ("a console's session", {"session": "/w/console-1-abc"}, None, None),
        ("a session named by the server's own path",
         {"session": "deep/down/a.ipynb", "cwd": "/w"}, "/w/a.ipynb", "session"),
        ("a shared document", {"session": "/w/RTC:a.ipynb"}, "/w/a.ipynb", "session"),
        ("papermill", {"command": ["python", "papermill", "a.ipynb", "out.ipynb"],
                       "command_folder": "/w"}, "/w/a.ipynb", "command"),
        ("nbconvert", {"command": ["jupyter-nbconvert", "--output", "b.ipynb", "a.ipynb"],
                       "command_folder": "/w"}, "/w/a.ipynb", "command"),
        ("jupyter execute", {"command": ["jupyter-execute", "sub/c.ipynb"], "command_folder": "/w"},
         "/w/sub/c.ipynb", "command"),
        ("a console of a server that was started with a notebook",
         {"session": "/w/console-1", "command": ["jupyter-lab", "a.ipynb"], "command_folder": "/w"},
         None, None),
        ("a relative path with no folder known", {"command": ["x", "a.ipynb"]}, None, None),
        ("not a notebook", {"runner": "/w/train.py"}, None, None),
        ("empty", {"runner": "", "session": ""}, None, None),
    ],
)  # fmt: skip
def test_which_notebook(
    case: str, said: dict[str, Any], path: str | None, source: str | None
) -> None:
    found = find_notebook(**said, exists=exists)
    if found is None:
        assert path is None
    else:
        assert (found.path.as_posix(), found.source) == (path, source)
        assert found.exists == (path in HERE)
        assert found.headless == (source in ("runner", "command"))


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (["papermill", "a.ipynb", "b.ipynb"], "/w/a.ipynb"),
        (["papermill", "-p", "x", "1", "a.ipynb", "new.ipynb"], "/w/a.ipynb"),
        (["papermill", "/w/sub/c.ipynb", "-"], "/w/sub/c.ipynb"),
        (["nbconvert", "--output=b.ipynb", "a.ipynb"], "/w/a.ipynb"),
        (["pytest", "--nbmake", "a.ipynb"], "/w/a.ipynb"),
        (["papermill", "missing.ipynb", "new.ipynb"], None),
        (["python", "-m", "ipykernel_launcher"], None),
        ([], None),
    ],
)
def test_the_notebook_of_a_command_line(command: list[str], path: str | None) -> None:
    found = notebook_argument(command, "/w", exists)
    assert (found.as_posix() if found else None) == path


@pytest.mark.parametrize(
    ("file", "kernel"),
    [
        ("/run/kernel-0a1b-2c.json", "0a1b-2c"),
        ("/run/tmp123.json", None),
        ("/run/kernel-x/other.json", None),
        (None, None),
    ],
)
def test_a_kernels_id_is_in_its_connection_files_name(file: str | None, kernel: str | None) -> None:
    assert kernel_id(file) == kernel


def test_tagged_cells_of_a_notebook_file(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    assert tagged_sources(path, "track") == frozenset()
    cells = [
        {"cell_type": "code", "source": ["a = 1\n", "b = 2"], "metadata": {"tags": ["track"]}},
        {"cell_type": "code", "source": "c = 3", "metadata": {"tags": ["track", "x"]}},
        {"cell_type": "code", "source": "d = 4", "metadata": {}},
        {"cell_type": "markdown", "source": "e", "metadata": {"tags": ["track"]}},
    ]
    path.write_text(json.dumps({"cells": cells}))
    assert tagged_sources(path, "track") == {"a = 1\nb = 2", "c = 3"}
    for text in ("", "[]", '{"cells": ["track"]}', '{"cells": [{"metadata": "track"}]}'):
        path.write_text(text)
        assert tagged_sources(path, "track") == frozenset()
