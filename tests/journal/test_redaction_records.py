"""No secret gets into a record, a journal, a notebook or a log."""

from __future__ import annotations

import base64
import io
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.journal import REDACTED, Redactor, SessionJournal, read_session
from jupyter_mlops.journal.log_streams import RedactingStream, redact_streams
from jupyter_mlops.model.events import CellEvent, FileRecord, RunRecord, record_from_dict

from .planted import KINDS


def run_record(**fields: Any) -> dict[str, Any]:
    plain = {"run_id": "01R", "session": "01S", "name": "nb #1", "status": "FINISHED"}
    return RunRecord(**{**plain, "started": 1.0, "ended": 2.0, **fields}).to_dict()


def test_keys_decide_in_parameters_tags_and_options() -> None:
    record = run_record(
        params={"password": "hunter2-x", "lr": 0.1, "token": 5, "api_key": 123, "nested": {
            "db": {"secret": "hunter2-y"}, "names": ["a", "b"]}, "auth_token": ["hunter2-z"]},
        tags={"team": "blue", "api_key": "hunter2-w"},
        error={"ename": "ValueError", "evalue": "bad login with hunter2-x"},
    )  # fmt: skip
    out = Redactor({}).redact_record(record)
    assert "hunter2" not in json.dumps(out)
    assert out["params"]["lr"] == 0.1
    assert out["params"]["token"] == 5
    assert out["params"]["nested"]["names"] == ["a", "b"]
    assert out["tags"]["team"] == "blue"
    assert REDACTED.fullmatch(out["params"]["api_key"])
    assert record["params"]["password"] == "hunter2-x"  # The record itself is as it was.
    assert record_from_dict(out) is not None


def test_names_of_columns_packages_and_files_decide_nothing() -> None:
    record = run_record(
        inputs=[{"type": "input", "name": "df", "kind": "frame", "schema": {"password": "string"}}],
        metrics={"password": 0.5, "token": 0.25},
        modules={"lib/secrets.py": "blake3:12"},
        left_out={"api_key": "not captured"},
        series={"token": [[0, 1.0, 2.0]]},
    )
    assert Redactor({}).redact_record(record) == record


def test_what_records_are_found_by_is_never_changed() -> None:
    environ = {"A_PASSWORD": "FINISHED", "B_PASSWORD": "session-01", "C_PASSWORD": "nb.ipynb"}
    record = run_record(session="session-01", notebook="nb.ipynb", source="x = 'session-01'")
    out = Redactor(environ).redact_record(record)
    assert {k: v for k, v in out.items() if k != "source"} == {
        k: v for k, v in record.items() if k != "source"
    }
    assert "session-01" not in out["source"]


def test_a_value_that_a_later_field_gives_away() -> None:
    files = [FileRecord("output.txt", text='connected with "abc-123-def"').to_dict()]
    record = run_record(files=files, error={"ename": "E", "evalue": "abc-123-def"})
    record["z"] = {"api_key": "abc-123-def"}
    assert "abc-123-def" not in json.dumps(Redactor({}).redact_record(record))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_a_record_keeps_its_shape(value: Any) -> None:
    out = Redactor({}).redact_record({"type": "cell", "options": {"v": value}})
    json.dumps(out)
    assert out.keys() == {"type", "options"}


_TEXTS = st.text() | st.sampled_from(
    [
        "password",
        "api_key: x1y2z3",
        "x = 'hunter2-x'",
        'token="abc-123-x"',
        "hunter2-x",
        "epoch 1\n",
    ]
)


@given(
    st.recursive(
        st.none() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
        lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
        max_leaves=20,
    ),
    st.sampled_from(["params", "options", "schema", "files", "inputs", "series", "tags"]),
)
def test_looking_at_all_texts_at_once_misses_nothing(value: Any, field: str) -> None:
    record = {"type": "run", "run_id": "hunter2-x", field: value, "source": "y = 1"}
    at_once, one_by_one = Redactor({"A_TOKEN": "hunter2-x"}), Redactor({"A_TOKEN": "hunter2-x"})
    out = at_once.redact_record(record)
    one_by_one._refresh()
    assert out == one_by_one._record(one_by_one._record(record))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_planted_gets_into_a_journal(kind: str, tmp_path: Path) -> None:
    secret, text = KINDS[kind](random.Random(kind))
    journal = SessionJournal(tmp_path, "01S", redactor=Redactor({}))
    event = CellEvent("01S", 1, f"x = {text!r}", 1.0, 2.0, "error", options={"tags": {"a": text}},
                      error={"ename": "E", "evalue": text})  # fmt: skip
    journal.append(event.to_dict())
    files = (FileRecord("output.txt", text=text), FileRecord("traceback.txt", text=f"E: {text}"))
    journal.append(
        run_record(params={"p": text, text: 1}, tags={"t": text}, files=files, source=text,
                   name=text, warnings=(text,), hyperparameters={"h": [text]}),
        sync=True,
    )  # fmt: skip
    journal.close()
    (path,) = tmp_path.glob("*.journal")
    assert secret.encode() not in path.read_bytes()
    session = read_session(path)
    assert not session.damage
    assert len(session.cells) == len(session.runs) == 1
    assert REDACTED.search(session.cells[0].source)


def test_a_journal_redacts_unless_it_is_told_not_to(tmp_path: Path) -> None:
    for name, options in {"a": {}, "b": {"redactor": None}}.items():
        journal = SessionJournal(tmp_path, name, **options)  # type: ignore[arg-type]
        journal.append({"type": "x", "password": "hunter2-x"})
        journal.close()
    assert b"hunter2-x" not in (tmp_path / "a.journal").read_bytes()
    assert b"hunter2-x" in (tmp_path / "b.journal").read_bytes()


def test_a_notebook() -> None:
    picture = base64.b64encode(b"\x89PNG" + bytes(range(200))).decode()
    _, pem = KINDS["private key"](random.Random(0))
    notebook = {
        "cells": [
            {"cell_type": "code", "metadata": {"tags": ["a", "b"]}, "id": "x",
             "source": ["import x\n", "password = 'hunter2-x'\n", "x.go(password)"],
             "outputs": [
                 {"output_type": "display_data", "data": {
                     "image/png": picture, "text/plain": ["using hunter2-x\n", "ok"]}},
                 {"output_type": "error", "traceback": ["Error: \x1b[1mhunter2-x\x1b[0m", "at x"]},
                 {"output_type": "stream", "text": pem.splitlines(keepends=True)},
             ]},
        ],
        "metadata": {"papermill": {"parameters": {"api_key": "hunter2-y", "n": 3}}},
    }  # fmt: skip
    out = Redactor({}).redact_notebook(notebook)
    text = json.dumps(out)
    assert "hunter2" not in text
    assert "BEGIN RSA" not in text
    assert picture in text
    cell = out["cells"][0]
    assert cell["source"][0] == "import x\n"
    assert cell["source"][2] == "x.go(password)"
    assert cell["metadata"] == {"tags": ["a", "b"]}
    assert cell["outputs"][1]["traceback"][1] == "at x"
    assert out["metadata"]["papermill"]["parameters"]["n"] == 3


def test_a_stream_that_is_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    behind = io.StringIO()
    monkeypatch.setattr(sys, "stdout", behind)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    redact_streams(Redactor({}))
    redact_streams(Redactor({}))
    assert isinstance(sys.stdout, RedactingStream)
    print("api_key =", "'hunter2-x'", "and on")
    assert behind.getvalue().startswith("api_key = '***[api_key:")
    sys.stdout.write("no end of line")
    assert "no end" not in behind.getvalue()
    sys.stdout.flush()
    assert behind.getvalue().endswith("no end of line")
    print("password = 'hunter2-y'", file=sys.stderr)
