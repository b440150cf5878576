"""``pytest --notebooks``: what is collected, what is reported, and what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

# Loaded before pytester remembers what was: numpy cannot be imported twice in a process.
from jupyter_mlops import notebook_tests
from jupyter_mlops.integrations import papermill_executor
from jupyter_mlops.warm import keeper

pytest_plugins = ["pytester"]
assert notebook_tests
assert papermill_executor
ROOT = Path(__file__).resolve().parent.parent
PLUGIN = "jupyter_mlops.pytest_plugin"
INI = """
[tool.pytest.ini_options]
addopts = "--strict-markers -p no:cacheprovider"
filterwarnings = ["error"]
markers = ["slow: takes long"]
notebooks_ignore = ["drafts/*"]
"""


def write(path: Path, *cells: str, tags: Mapping[int, str] | None = None, **metadata: Any) -> Path:
    node = new_notebook(cells=[new_markdown_cell("# Title"), *map(new_code_cell, cells)])
    node.metadata["kernelspec"] = {"name": "python3", "display_name": "x", "language": "python"}
    node.metadata.update(metadata)
    for index, tag in (tags or {}).items():
        node.cells[index].metadata["tags"] = [tag]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(node, path)
    return path


@pytest.fixture
def place(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("HOME", str(pytester.path.parent))  # a home folder is no project
    pytester.makepyprojecttoml(INI)
    return pytester


def run(place: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return place.runpytest_inprocess("-p", PLUGIN, *arguments)


def test_one_test_a_notebook(place: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    def wait(*arguments: Any, **options: Any) -> Any:
        held.append(ensure_zygote(*arguments, **options))
        assert held[-1].wait(120), held[-1].why
        return held[-1]

    ensure_zygote = keeper.ensure_zygote
    monkeypatch.setattr(keeper, "ensure_zygote", wait)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # every pytest sets its own
    parents = place.path / "parents"
    note = f"import os\nopen({str(parents)!r}, 'a').write(f'{{os.getppid()}} ')"
    for number in range(3):
        write(place.path / f"a{number}.ipynb", note)
    write(
        place.path / "books" / "bad.ipynb",
        "import pandas\nlimit = 1",
        "def share(rows):\n    return rows / 0\nprint('so far')\nshare(limit)",
        "y = 2",
    )
    write(
        place.path / "good.ipynb",
        "1 / 0",
        "1 / 0",
        tags={1: "raises-exception", 2: "skip-execution"},
    )
    write(place.path / "known.ipynb", "1 / 0", pytest={"xfail": "not mended yet"})
    write(place.path / "later.ipynb", "1 / 0", pytest={"skip": "no data", "markers": ["slow"]})
    write(place.path / "drafts" / "x.ipynb", "1 / 0")
    write(place.path / ".ipynb_checkpoints" / "x.ipynb", "1 / 0")
    place.makepyfile(test_plain="def test_plain():\n    pass")
    before = dict(os.environ)
    result = run(place, "--notebooks", "--notebooks-output", "kept", "--junit-xml=junit.xml", "-v")
    result.assert_outcomes(passed=5, failed=1, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "good.ipynb::run PASSED*",
            "known.ipynb::run XFAIL (not mended yet)*",
            "later.ipynb::run SKIPPED (no data)*",
            "books/bad.ipynb, In [[]2[]], line 2",
            "    def share(rows):",
            ">       return rows / 0",
            "E   ZeroDivisionError: division by zero",
            "*Cell In[[]2[]], line 4",
            "Printed last:",
            "so far",
            "FAILED books/bad.ipynb::run - ZeroDivisionError: division by zero",
        ]
    )
    assert "jupyter_mlops" not in result.stdout.str().partition("= FAILURES =")[2]
    junit = (place.path / "junit.xml").read_text()
    assert 'message="ZeroDivisionError: division by zero"' in junit
    # The kernels after the first were forked from one process, which has ended.
    (zygote,) = held
    owners = [int(word) for word in parents.read_text().split()]
    assert owners == [os.getpid(), zygote.pid, zygote.pid]
    assert zygote.state == "ended"
    assert dict(os.environ) == before
    # Nothing is left in the project but what was asked for.
    assert not (place.path / ".mlops").exists()
    executed = json.loads((place.path / "kept" / "books" / "bad.ipynb").read_text())
    states = [c["metadata"]["mlops"]["state"] for c in executed["cells"] if "outputs" in c]
    assert states == ["completed", "failed", "not run"]
    run(place, "--notebooks", "-m", "slow", "--co", "-q").stdout.fnmatch_lines(["later.ipynb::run"])


def test_one_test_a_cell(place: pytest.Pytester) -> None:
    write(
        place.path / "cells.ipynb",
        "limit = 1",
        "assert limit == 7",
        "",
        "1 / 0",
        "1 / 0",
        "raise KeyError('x')",
        "y = 2",
        tags={1: "parameters", 4: "skip-execution", 5: "raises-exception"},
    )
    result = run(
        place, "--notebooks", "--notebooks-cells", "--notebook-param", "limit", "7", "-v", "-rs"
    )
    result.assert_outcomes(passed=3, failed=1, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "cells.ipynb::cell-1 PASSED*",
            "cells.ipynb::cell-2 PASSED*",
            "cells.ipynb::cell-4 SKIPPED (it is tagged skip-execution)*",
            "cells.ipynb::cell-5 PASSED*",
            "cells.ipynb::cell-6 FAILED*",
            "cells.ipynb::cell-7 SKIPPED (not run: a cell before it failed)*",
            ">   raise KeyError('x')",
            "E   KeyError: 'x'",
            "SKIPPED [[]1[]] cells.ipynb:1: not run: a cell before it failed",
        ]
    )


PIPELINE = """\
version: 1
name: sums
parameters:
  size:
    type: integer
    default: 3
steps:
  - name: make
    notebook: make.ipynb
    outputs: {made: made.json}
  - name: add
    notebook: add.ipynb
    needs: [make]
    inputs: {made: make.made}
    outputs: {total: total.json}
metrics: add.total
"""


def test_a_pipeline_is_a_test(place: pytest.Pytester) -> None:
    folder = place.path / "pipelines" / "sums"
    write(
        folder / "make.ipynb",
        "size = 3\nmade = 'made.json'",
        "import json\njson.dump(list(range(size)), open(made, 'w'))",
        tags={1: "parameters"},
    )
    write(
        folder / "add.ipynb",
        "made = 'made.json'\ntotal = 'total.json'",
        "import json\nsum_ = sum(json.load(open(made)))",
        "assert sum_ < 10, sum_",
        "json.dump({'sum': sum_}, open(total, 'w'))",
        tags={1: "parameters"},
    )
    (folder / "pipeline.yaml").write_text(PIPELINE)
    write(folder / "other.ipynb", "x = 1")
    result = run(place, "--notebooks", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*/other.ipynb::run PASSED*", "*/pipeline.yaml::pipeline PASSED*"])
    result = run(
        place, "--notebooks", str(folder / "pipeline.yaml"), "--notebooks-cells",
        "--notebook-param", "size", "6",
    )  # fmt: skip
    result.assert_outcomes(passed=4, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["pipelines/sums/add.ipynb, In [[]4[]], line 1", ">   assert sum_ < 10, sum_",
         "FAILED pipelines/sums/pipeline.yaml::add-3 - AssertionError: 15"]
    )  # fmt: skip
    (folder / "pipeline.yaml").write_text(PIPELINE + "unknown: 1\n")
    result = run(place, "--notebooks")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*pipeline.yaml*unknown*"])


def test_a_time_limit_a_dead_kernel_and_paths(place: pytest.Pytester) -> None:
    write(place.path / "one" / "slow.ipynb", "import time", "time.sleep(600)", "x = 1")
    write(place.path / "one" / "dies.ipynb", "import os\nos._exit(3)", pytest={"timeout": 600})
    write(place.path / "two" / "fine.ipynb", "x = 1")
    place.makepyfile(test_plain="def test_plain():\n    pass")
    result = run(place, "--notebook-timeout", "1", "--notebooks", "one")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E   DeadKernelError: the kernel ended with exit code 3 while the cell was running",
            "one/slow.ipynb, In [[]2[]], line 1",
            "E   TimeoutError: the notebook did not finish within * s",
        ]
    )
    # Beside other paths, a path of ours says where notebooks are taken from.
    arguments = ("test_plain.py", "one", "--co", "-q", "--notebooks", "two")
    run(place, *arguments).stdout.re_match_lines(
        ["test_plain.py::test_plain", "two/fine.ipynb::run", "^$"], consecutive=True
    )


def test_what_is_asked_for_wrongly(place: pytest.Pytester) -> None:
    write(place.path / "fine.ipynb", "x = 1")
    result = run(place, "--notebooks", "--notebook-param", "size", "1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no collected notebook has a parameter 'size'"])
    write(place.path / "typo.ipynb", "x = 1", pytest={"xfial": "really"})
    (place.path / "broken.ipynb").write_text("{}")
    result = run(place, "--notebooks")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*broken.ipynb is not a notebook: *", "typo.ipynb: its metadata say pytest: *xfial*"]
    )


def subprocess_pytest(place: Path, *arguments: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_without_the_option_nothing_heavy_is_imported(place: pytest.Pytester) -> None:
    write(place.path / "fine.ipynb", "1 / 0")
    place.makepyfile(
        "import sys\n"
        "def test_imports(pytestconfig):\n"
        f"    assert pytestconfig.pluginmanager.has_plugin({PLUGIN!r})\n"
        "    ours = {m for m in sys.modules if m.startswith('jupyter_mlops.')}\n"
        f"    assert ours == {{{PLUGIN!r}}}\n"
        "    heavy = ('mlflow', 'pandas', 'papermill', 'nbformat', 'jupyter_client', 'zmq')\n"
        "    assert not [m for m in heavy if m in sys.modules]\n"
    )
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # what other plugins import is theirs
    assert "1 passed" in subprocess_pytest(place.path, "-p", PLUGIN, "-W", "error", **alone)


def test_installed_and_named_it_is_one_plugin(place: pytest.Pytester) -> None:
    info = place.path / "site" / "jupyter_mlops-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: jupyter_mlops\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[pytest11]\n{PLUGIN} = {PLUGIN}\n")
    place.makepyfile(
        "def test_it(pytestconfig):\n"
        "    names = [n for n, p in pytestconfig.pluginmanager.list_name_plugin()\n"
        f"             if getattr(p, '__name__', '') == {PLUGIN!r}]\n"
        "    assert len(names) == 1\n"
    )
    path = os.pathsep.join([str(place.path / "site"), str(ROOT)])
    quick = ["-p", "no:hypothesispytest", "-p", "no:anyio"]
    for arguments in (quick, [*quick, "-p", PLUGIN]):
        assert "1 passed" in subprocess_pytest(place.path, *arguments, PYTHONPATH=path)


def test_the_entry_point_is_named_as_the_module() -> None:
    import tomllib

    with (ROOT / "pyproject.toml").open("rb") as file:
        points = tomllib.load(file)["project"]["entry-points"]["pytest11"]
    assert points == {PLUGIN: PLUGIN}
