from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.errors import UsageError
from jupyter_mlops.serving.payload import Nested, Rows, content_type, decode_json, show

WANTED = {"a": True, "b": True, "c": False}


def decode(data: Any, wanted: Any = WANTED, limit: int = 100) -> Any:
    return decode_json(
        data if isinstance(data, bytes) else json.dumps(data).encode(), wanted, limit
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"dataframe_split": {"columns": ["b", "a"], "data": [[1, 2]]}}, (["b", "a"], [[1, 2]])),
        ({"dataframe_split": {"data": [[1, 2]], "index": [7]}}, (None, [[1, 2]])),
        ({"dataframe_split": {"columns": ["a"], "data": [1, 2]}}, (["a"], [[1], [2]])),
        ({"dataframe_split": {"columns": ["a"], "data": []}}, (["a"], [])),
        ({"dataframe_records": [{"b": 2, "a": 1}]}, (["a", "b"], [[1, 2]])),
        (
            {"dataframe_records": [{"b": 2, "a": 1, "c": 3}, {"b": 4, "a": 3}]},
            (["a", "b", "c"], [[1, 2, 3], [3, 4, None]]),
        ),
        ({"instances": [{"a": 1, "b": 2}], "params": {"x": 1}}, (["a", "b"], [[1, 2]])),
        ({"inputs": {"b": [1, 2], "a": [3, 4], "z": [0]}}, (["a", "b"], [(3, 1), (4, 2)])),
        ({"inputs": {"a": 1, "b": 2}}, (["a", "b"], [[1, 2]])),
    ],
)
def test_tables(body: Any, expected: tuple[Any, Any]) -> None:
    payload = decode(body)
    assert isinstance(payload, Rows)
    assert (payload.names, list(payload.rows)) == expected


@pytest.mark.parametrize("body", [{"inputs": [[1, 2]]}, {"instances": [[1, 2]]}])
def test_arrays(body: Any) -> None:
    assert decode(body) == Nested([[1, 2]])
    assert decode({"inputs": 3}) == Nested(3)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"inputs": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"inputs": ' + b'{"a":' * 100_000, "nested too deeply"),
        ([], "an array"),
        ("text", "'text'"),
        ({}, "none of them"),
        ({"columns": ["a"], "data": [[1]]}, "none of them"),
        ({"inputs": [1], "instances": [1]}, "'instances' and 'inputs'"),
        ({"dataframe_split": [1]}, "'data' and 'columns'"),
        ({"dataframe_split": {"columns": ["a"]}}, "'data' and 'columns'"),
        ({"dataframe_split": {"columns": "a", "data": [[1]]}}, "array of names"),
        ({"dataframe_split": {"data": 1}}, "array of rows"),
        ({"dataframe_split": {"data": [], "dtype": "object"}}, "unknown key 'dtype'"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], 3]}}, "row 1 is 3"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3]]}}, "row 1 has 1 values"),
        ({"dataframe_split": {"data": [[1, 2], [3]]}}, "row 1 has 1 values"),
        ({"dataframe_records": {"a": 1}}, "array of records"),
        ({"dataframe_records": [{"a": 1}, [2]]}, "record 1 is an array"),
        ({"dataframe_records": [{"a": 1, "b": 1}, {"a": 2}]}, "record 1 has no 'b'"),
        ({"inputs": {}}, "empty"),
        ({"inputs": {"a": [1], "b": 2}}, "'b' is one value"),
        ({"inputs": {"a": [1], "b": [1, 2]}}, "different lengths"),
    ],
)
def test_refused(body: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        decode(body)
    assert caught.value.fields == {"status": 400, "error_code": "BAD_REQUEST"}
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["a"], "data": [[1]] * 101}},
        {"dataframe_records": [{"a": 1}] * 101},
        {"inputs": [[1]] * 101},
        {"instances": [1] * 101},
        {"inputs": {"a": [1] * 101, "b": [1] * 101}},
    ],
)
def test_too_many_rows(body: Any) -> None:
    with pytest.raises(UsageError, match="the limit is 100") as caught:
        decode(body)
    assert caught.value.fields["status"] == 413


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcz"), inner),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["dataframe_split", "dataframe_records", "instances", "inputs", "params", "x"]
        ),
        json_values | st.fixed_dictionaries({"columns": json_values, "data": json_values}),
    )
    | json_values
)
def test_whatever_comes_is_parsed_or_refused(data: Any) -> None:
    try:
        payload = decode(data)
    except UsageError:
        return
    if isinstance(payload, Rows) and payload.names is not None:
        assert all(len(row) == len(payload.names) for row in payload.rows)


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    with pytest.raises(UsageError):
        decode(body)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("application/json", "json"),
        ("Application/JSON; charset=UTF-8", "json"),
        ('application/json;charset="utf-8"', "json"),
        ("text/csv", "csv"),
    ],
)
def test_content_types(header: str, kind: str) -> None:
    assert content_type(header) == kind


@pytest.mark.parametrize(
    "header", [None, "", "text/plain", "application/json; charset=latin-1", "text/csv; header=no"]
)
def test_other_content_types(header: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        content_type(header)
    assert caught.value.fields["status"] == 415


def test_values_are_shown_short() -> None:
    assert show(True) == "true"
    assert show(None) == "null"
    assert show({"a": 1}) == "an object"
    assert len(show("x" * 1000)) == 60
    assert "\n" not in show("a\nb")
