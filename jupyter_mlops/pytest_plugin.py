"""``pytest --notebooks``: notebooks and pipelines are tests, run by our engine.

Without the option nothing is collected and nothing but pytest is imported.  ``pyproject.toml``
names the entry point as this module is named: ``-p jupyter_mlops.pytest_plugin`` beside an
installed package is then the same plugin, not a second one.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .notebook_tests import NotebookSession

_PIPELINE = "pipeline.yaml"
_KEY: pytest.StashKey[NotebookSession] = pytest.StashKey()
_ANYWHERE = ""  # --notebooks without a path


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and the settings of the ini file."""
    group = parser.getgroup("notebooks", "notebooks and pipelines (jupyter_mlops)")
    group.addoption(
        "--notebooks",
        nargs="?",
        const=_ANYWHERE,
        action="append",
        metavar="PATH",
        help="Run notebooks and pipelines as tests: those in PATH, or all that are collected.",
    )
    group.addoption(
        "--notebooks-cells",
        action="store_true",
        help="Report each code cell as a test of its own.",
    )
    group.addoption(
        "--notebooks-output",
        metavar="FOLDER",
        help="Keep the executed notebooks there.",
    )
    group.addoption(
        "--notebook-param",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="Set a parameter in the notebooks and pipelines that declare it.",
    )
    group.addoption(
        "--notebook-timeout",
        type=_seconds,
        metavar="SECONDS",
        help="End a notebook or a pipeline, and fail it, when it takes longer.",
    )
    parser.addini(
        "notebooks_ignore",
        type="linelist",
        default=[],
        help="Globs of notebooks and pipelines that are no tests, relative to the root folder.",
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise ValueError("not a number of seconds")
    return seconds


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and begin where the option is given."""
    config.addinivalue_line(
        "markers", "notebook: a notebook or pipeline that `pytest --notebooks` has collected"
    )
    given: list[str] | None = config.getoption("notebooks")
    if given is None or config.option.help:
        return
    paths = [path for path in given if path != _ANYWHERE]
    if paths and config.args_source.name != "ARGS":
        config.args = []  # a path of our own takes the place of testpaths and the current folder
    config.args += [path for path in paths if path not in config.args]
    if config.option.notebooks_cells and getattr(config.option, "dist", "no") == "load":
        # The cells of a notebook are run together: pytest-xdist is to send them to one worker.
        config.option.dist = "loadfile"

    from .notebook_tests import NotebookSession

    config.stash[_KEY] = NotebookSession(config, [Path(path).resolve() for path in paths])


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what was held for the session."""
    session = config.stash.get(_KEY, None)
    if session is not None:
        session.close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a notebook, or the pipeline of a folder."""
    if file_path.suffix != ".ipynb" and file_path.name != _PIPELINE:
        return None
    session = parent.config.stash.get(_KEY, None)
    return None if session is None else session.collect(file_path, parent)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse parameters that nobody has, and learn what will run."""
    notebooks = session.config.stash.get(_KEY, None)
    if notebooks is not None:
        notebooks.begin(session.items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, Any, Any]:
    """Give a cell's test the time that the cell has taken, and the place of one that did not."""
    report: Any = yield
    seconds = getattr(item, "cell_seconds", None)
    if seconds is not None and call.when == "call":
        report.duration = seconds
        if report.skipped and isinstance(report.longrepr, tuple):
            report.longrepr = (str(item.path), 1, report.longrepr[2])
    return report
