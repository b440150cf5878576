"""What a client sends is checked, and the message names the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.errors import UsageError
from jupyter_mlops.server.schemas import BODIES, QUERIES
from jupyter_mlops.server.validation import parse_body, parse_query

GOOD = {"path": "a/nb.ipynb", "name": "taxi", "alias": "champion", "version": 3}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"version": "3"}, "version", "must be an integer"),
        ({"version": True}, "version", "must be an integer"),
        ({"version": 0}, "version", "at least 1"),
        ({"version": None}, "version", "must be an integer"),
        ({"path": 7}, "path", "must be a string"),
        ({"path": ["a"]}, "path", "must be a string"),
        ({"name": ""}, "name", "must not be empty"),
        ({"name": "x" * 201}, "name", "200 characters"),
        ({"alias": {}}, "alias", "must be a string"),
        ({"name": "\ud800"}, "name", "half a character"),
        ({"token": "x"}, "token", "unknown field"),
        ({"<img src=x onerror=alert(1)>": 1}, "<img src=x onerror=alert(1)>", "unknown field"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_body(json.dumps(GOOD | change).encode(), "NewAlias")
    assert field in refused.value.message
    assert words in refused.value.message
    assert refused.value.fields["field"] == field


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_field_is_named(name: str) -> None:
    body = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(UsageError, match=f"field '{name}' is missing") as refused:
        parse_body(json.dumps(body).encode(), "NewAlias")
    assert "path, name, alias, version" in str(refused.value.hint)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b'{"path": NaN}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_not_a_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="request body"):
        parse_body(data, "Place")


def test_a_good_body_passes_as_it_is() -> None:
    assert parse_body(json.dumps(GOOD).encode(), "NewAlias") == GOOD
    whole = parse_body(json.dumps(GOOD | {"version": 3.0}).encode(), "NewAlias")
    assert type(whole["version"]) is int


@pytest.mark.parametrize("run", ["", "a b", "01ARZ3\n", "../x", "x" * 65, "ü"])
def test_a_run_id_is_letters_and_digits(run: str) -> None:
    body = {"path": "", "run_id": run, "name": "taxi"}
    with pytest.raises(UsageError, match="'run_id'"):
        parse_body(json.dumps(body).encode(), "NewVersion")


def test_query_arguments_are_converted_and_checked() -> None:
    assert parse_query({"path": [b"a b"], "limit": [b"7"]}, "runs") == {"path": "a b", "limit": 7}
    # What Jupyter itself appends is none of ours.
    assert parse_query({"1712345678901": [b""], "token": [b"t"], "_xsrf": [b"x"]}, "path") == {}
    for arguments, words in [
        ({"limit": [b"many"]}, "'limit' must be an integer"),
        ({"limit": [b"0"]}, "'limit' must be at least 1"),
        ({"limit": [b"1" * 30]}, "'limit' must be an integer"),
        ({"limt": [b"1"]}, 'unknown field "limt"'),
        ({"path": [b"a", b"b"]}, "given 2 times"),
        ({"path": [b"\xff"]}, "not UTF-8"),
    ]:
        with pytest.raises(UsageError, match=words):
            parse_query(arguments, "runs")
    with pytest.raises(UsageError, match="'name' is missing"):
        parse_query({"version": [b"1"]}, "code")


@given(st.sampled_from(sorted(BODIES)), JSON)
def test_any_json_is_refused_in_words_or_fits(schema: str, value: Any) -> None:
    try:
        body = parse_body(json.dumps(value).encode(), schema)
    except UsageError:
        return
    assert set(body) <= set(BODIES[schema]["properties"])


@given(
    st.sampled_from(sorted(QUERIES)),
    st.dictionaries(
        st.sampled_from(["path", "limit", "name", "version", "_", "x"]),
        st.lists(st.binary(max_size=12), min_size=1, max_size=2),
    ),
)
def test_any_query_is_refused_in_words_or_fits(
    schema: str, arguments: dict[str, list[bytes]]
) -> None:
    try:
        values = parse_query(arguments, schema)
    except UsageError:
        return
    assert set(values) <= set(QUERIES[schema]["properties"])
