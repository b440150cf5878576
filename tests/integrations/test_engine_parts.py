"""Parts of the engine against the libraries whose rules they follow."""

from __future__ import annotations

import copy
import json
import logging
import threading
import warnings
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from jupyter_mlops.integrations import engine_parameters
from jupyter_mlops.integrations.engine_notebook import (
    is_valid,
    name_cells,
    notebook_text,
    read_notebook,
)
from jupyter_mlops.integrations.engine_output import Outputs
from jupyter_mlops.integrations.engine_saves import Saver, write_text

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
bundles = st.dictionaries(
    st.sampled_from(["text/plain", "text/html", "image/png", "image/svg+xml"]), texts, max_size=3
)
outputs = st.one_of(
    st.builds(lambda n, t: {"output_type": "stream", "name": n, "text": t}, texts, texts),
    st.builds(
        lambda d: {"output_type": "display_data", "data": d, "metadata": {}},
        st.one_of(bundles, st.fixed_dictionaries({"application/json": values})),
    ),
    st.builds(
        lambda e: {"output_type": "error", "ename": e, "evalue": e, "traceback": [e, e]}, texts
    ),
)
metadata = st.dictionaries(
    st.sampled_from(["a", "b", "trusted", "collapsed"]), st.booleans() | texts.filter(bool)
).map(lambda d: {k: v for k, v in d.items() if k != "collapsed"})
cells = st.one_of(
    st.builds(
        lambda s, m, o: {
            "cell_type": "code",
            "execution_count": None,
            "metadata": m,
            "outputs": o,
            "source": s,
        },
        texts,
        metadata,
        st.lists(outputs, max_size=3),
    ),
    st.builds(lambda s, m: {"cell_type": "markdown", "metadata": m, "source": s}, texts, metadata),
)
notebooks = st.builds(
    lambda c: {"cells": c, "metadata": {"x": [1, {}]}, "nbformat": 4, "nbformat_minor": 5},
    st.lists(cells, max_size=4),
)


@settings(deadline=None, max_examples=50)
@given(notebooks)
def test_what_is_written_equals_what_nbformat_writes(notebook: dict[str, Any]) -> None:
    name_cells(notebook)
    notebook = json.loads(json.dumps(notebook))
    node = nbformat.from_dict(copy.deepcopy(notebook))
    assert notebook_text(notebook) == nbformat.v4.writes(node) + "\n"


@settings(deadline=None, max_examples=50)
@given(notebooks)
def test_a_notebook_comes_back_as_it_was_and_valid(notebook: dict[str, Any]) -> None:
    name_cells(notebook)
    assert is_valid(notebook)
    nbformat.validate(nbformat.from_dict(copy.deepcopy(notebook)))


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(st.sampled_from(["a", "b_1", "C"]), values, min_size=1),
    st.lists(st.sampled_from(["", "parameters", "injected-parameters"]), max_size=4),
)
def test_parameters_are_injected_as_papermill_does(
    tmp_path_factory: pytest.TempPathFactory, parameters: dict[str, Any], tags: list[str]
) -> None:
    logging.getLogger("papermill").addHandler(logging.NullHandler())
    node = nbformat.v4.new_notebook()
    node.metadata["kernelspec"] = {"name": "python3", "display_name": "x", "language": "python"}
    for tag in tags:
        node.cells.append(
            nbformat.v4.new_code_cell("x = 1", metadata={"tags": [tag] if tag else []})
        )
    path = tmp_path_factory.mktemp("injected") / "a.ipynb"
    nbformat.write(node, path)
    ours = read_notebook(path)
    ours["metadata"]["papermill"] = {}
    engine_parameters.inject(ours, parameters, "python3", "python")
    theirs = load_notebook_node(str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = parameterize_notebook(theirs, parameters, kernel_name="python3", language="python")
    shown = [(c["source"], c["metadata"]["tags"]) for c in ours["cells"]]
    assert shown == [(c.source, c.metadata.tags) for c in theirs.cells]
    assert repr(ours["metadata"]["papermill"]["parameters"]) == repr(parameters)


def test_an_older_notebook_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "old.ipynb"
    nbformat.write(nbformat.v3.new_notebook(worksheets=[nbformat.v3.new_worksheet()]), path)
    assert is_valid(read_notebook(path))


def test_reading_needs_no_nbformat(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = tmp_path / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), path)
    program = (
        "import sys; from pathlib import Path; "
        "from jupyter_mlops.integrations.papermill_executor import executor; "
        f"executor().check(Path({str(path)!r}), kernel=None); "
        "heavy = ('nbformat', 'nbclient', 'papermill', 'jsonschema'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


# --- outputs --------------------------------------------------------------------------------------


def test_streams_are_joined_and_overwritten_lines_are_gone() -> None:
    kept: list[dict[str, Any]] = []
    outs = Outputs()
    outs.begin(kept)
    for text in ("10%\r", "100%", "\r", "\ndone\r\n", "a"):
        outs.stream("stdout", text)
    outs.stream("stderr", "e")
    outs.stream("stdout", "b")
    assert outs.finish() is None
    assert [(o["name"], o["text"]) for o in kept] == [
        ("stdout", "100%\r\ndone\r\na"),
        ("stderr", "e"),
        ("stdout", "b"),
    ]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.integers(0, 400))))
def test_a_bounded_cell_keeps_beginning_and_end_and_counts_the_rest(
    prints: list[tuple[str, int]],
) -> None:
    kept: list[dict[str, Any]] = []
    outs = Outputs(cell_limit=1000, notebook_limit=10_000)
    outs.begin(kept)
    whole = ""
    for name, size in prints:
        text = "".join(chr(97 + (len(whole) + i) % 26) for i in range(size))
        outs.stream(name, text)
        whole += text
    cut = outs.finish()
    texts = [o["text"] for o in kept]
    if cut is None:
        assert "".join(texts) == whole
    else:
        at = next(i for i, text in enumerate(texts) if "left out here" in text)
        head, tail = "".join(texts[:at]), "".join(texts[at + 1 :])
        assert whole.startswith(head)
        assert whole.endswith(tail)
        assert len(head) + len(tail) + cut["characters"] == len(whole)
        assert f"{cut['characters']:,} characters" in texts[at]


def test_a_notebook_has_a_limit_too_and_errors_are_always_kept() -> None:
    outs = Outputs(cell_limit=1000, notebook_limit=1500)
    cells: list[list[dict[str, Any]]] = [[], [], []]
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]}
    for kept in cells:
        outs.begin(kept)
        for n in range(30):
            shown = {"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {}}
            outs.add(shown, 40, f"d{n}")
        outs.add(dict(error), 10)
        outs.finish()
    assert all(kept[-1] == error for kept in cells)
    counts = [sum(o.get("data") == {"text/plain": "x"} for o in kept) for kept in cells]
    assert counts == [25, 12, 0]
    assert "10 other outputs" in cells[2][-2]["text"]  # thirty less the twenty with a note each
    assert outs.update("d0", {"text/plain": "y"}, {}, 10)
    assert cells[0][0]["data"] == cells[1][0]["data"] == {"text/plain": "y"}


# --- saves ----------------------------------------------------------------------------------------


def test_saves_are_rare_and_hold_the_last_state() -> None:
    written: list[str] = []
    notebook = {
        "cells": [
            {"cell_type": "markdown", "id": f"c{n}", "metadata": {}, "source": "a"}
            for n in range(3)
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    saver = Saver(notebook, written.append, every=0.0)
    assert saver.due is None
    saver.save_if_due()
    for n in range(3):
        notebook["cells"][n]["source"] = "b"
        saver.changed(notebook["cells"][n])
        assert saver.due is not None
        saver.save_if_due()
        saver.close()
    assert written[-1].count('"b"') >= len(written) >= 1
    assert all(json.loads(text)["nbformat"] == 4 for text in written)
    quiet = Saver(notebook, written.append, every=1e9)
    quiet.changed(notebook["cells"][0])
    quiet.save_if_due()
    quiet.close()
    assert len(written) <= 3


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    write_text(path, "one", durable=True)
    mode = path.stat().st_mode & 0o777
    threads = [
        threading.Thread(target=write_text, args=(path, f"{n}" * 1000), kwargs={"durable": False})
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(path.read_text())) == 1
    assert path.stat().st_mode & 0o777 == mode
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "none" / "a.ipynb", "x", durable=False)
    assert [p.name for p in tmp_path.iterdir()] == ["a.ipynb"]
