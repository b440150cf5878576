"""Parameters as given on a command line: what the declared type makes of text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.errors import ParameterError
from jupyter_mlops.model.pipeline import Parameter, Pipeline, Step
from jupyter_mlops.pipelines import check_parameters, effective_parameters
from jupyter_mlops.pipelines.names import is_parameter_name

NUMBER = {"type": "number"}
INTEGER = {"type": "integer"}
BOOLEAN = {"type": "boolean"}
STRING = {"type": "string"}
PIPELINE = Pipeline(
    "churn",
    (Step("train", "train.ipynb"),),
    (
        Parameter("C", 0.5, NUMBER),
        Parameter("max_iter", 100, INTEGER),
        Parameter("note", "", STRING),
    ),
)


@pytest.mark.parametrize(
    ("schema", "default", "text", "value"),
    [
        (NUMBER, 0.5, "1", 1.0),
        (NUMBER, 2, "1", 1),
        (NUMBER, None, "1e-3", 0.001),
        (NUMBER, 0.5, " -2.5 ", -2.5),
        (INTEGER, 1, "10", 10),
        (INTEGER, 1, "+1_000", 1000),
        (INTEGER, 1, "1e6", 1_000_000),
        (INTEGER, 1, "2.0", 2),
        (BOOLEAN, True, "Yes", True),
        (BOOLEAN, True, "0", False),
        (BOOLEAN, True, "off", False),
        (STRING, "", "1", "1"),
        (STRING, "", " a ", " a "),
        (STRING, "", "null", "null"),
        (STRING, "", "", ""),
        ({"type": "null"}, None, "None", None),
        ({"type": ["number", "null"]}, None, "null", None),
        ({"type": ["number", "null"]}, None, "3", 3),
        ({"type": ["string", "null"]}, None, "None", None),
        ({"type": ["string", "integer"]}, "a", "5", 5),
        ({"type": ["boolean", "integer"]}, 1, "1", 1),
        ({"type": ["boolean", "integer"]}, 1, "true", True),
        ({"type": ["boolean", "string"]}, "a", "maybe", "maybe"),
        ({"type": "array"}, [], '["a", 1]', ["a", 1]),
        ({"type": "array", "items": NUMBER}, [], "[1, 2.5]", [1, 2.5]),
        ({"type": "object"}, {}, '{"a": null}', {"a": None}),
        ({"enum": ["a", 1, None]}, "a", "1", 1),
        ({"enum": ["a", "1", 1]}, "a", "1", "1"),
        ({"enum": ["a", None]}, "a", "null", None),
        ({}, 1, "[1]", [1]),
        ({}, 1, "word", "word"),
        ({}, 1, "NaN", "NaN"),
    ],
)
def test_text_becomes_what_the_type_says(
    schema: dict[str, Any], default: Any, text: str, value: Any
) -> None:
    found = check_parameters([Parameter("p", default, schema)], {"p": text})["p"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("schema", "given", "expected"),
    [
        (NUMBER, "abc", "a number"),
        (NUMBER, "nan", "a number"),
        (NUMBER, "inf", "a number"),
        (NUMBER, "1e999", "a number"),
        (NUMBER, True, "a number"),
        (NUMBER, [1], "a number"),
        (NUMBER, float("nan"), "a number"),
        (INTEGER, "2.5", "a whole number"),
        (INTEGER, "", "a whole number"),
        (INTEGER, "9" * 5000, "a whole number"),
        (BOOLEAN, "maybe", "true or false"),
        (BOOLEAN, 1, "true or false"),
        (STRING, 5, "text"),
        (STRING, object(), "text"),
        ({"type": "array"}, '{"a": 1}', "a JSON list such as"),
        ({"type": "array"}, "a, b", "a JSON list such as"),
        ({"type": "array"}, "[" * 100_000, "a JSON list such as"),
        ({"type": "array", "items": NUMBER}, '["a"]', "'a' is not of type 'number'"),
        ({"type": "object"}, "[1]", "a JSON object such as"),
        ({"type": "object"}, {1: 2}, "a JSON object such as"),
        ({"enum": ["a", "b"]}, "c", 'one of "a", "b"'),
        ({"type": "number", "minimum": 0, "maximum": 1}, "2", "a number .at least 0, at most 1."),
        ({"type": "string", "pattern": "^a"}, "b", "text .matching .a"),
        ({"type": ["integer", "null"]}, "x", "a whole number or null"),
    ],
)
def test_a_wrong_value_names_parameter_expectation_and_value(
    schema: dict[str, Any], given: Any, expected: str
) -> None:
    with pytest.raises(ParameterError, match=expected) as caught:
        check_parameters([Parameter("depth", 1, schema)], {"depth": given}, of="pipeline 'x'")
    assert "parameter 'depth' of pipeline 'x': expected" in caught.value.message
    assert caught.value.fields["parameter"] == "depth"
    json.dumps(caught.value.to_dict())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("c", r"unknown parameter 'c' of pipeline 'churn' \(did you mean 'C'\?\)"),
        ("max_itr", r"did you mean 'max_iter'\?"),
        ("zzz", "unknown parameter 'zzz' of pipeline 'churn'$"),
        ("", "cannot name a parameter"),
        ("class", "cannot name a parameter"),
        ("x = 1\nimport os; os.system('true')  #", "cannot name a parameter"),
        ("C; import os", "cannot name a parameter"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(name: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as caught:
        check_parameters(PIPELINE, {name: "1"})
    assert caught.value.hint == "The parameters are: C, max_iter, note."
    assert caught.value.fields["known"] == ["C", "max_iter", "note"]


def test_only_what_was_given_is_returned_and_the_defaults_on_request() -> None:
    assert check_parameters(PIPELINE, {"C": "1"}) == {"C": 1.0}
    assert effective_parameters(PIPELINE, {"C": "1"}) == {"C": 1.0, "max_iter": 100, "note": ""}
    assert check_parameters(PIPELINE, {}) == {}


def test_without_parameters_there_is_nothing_to_set() -> None:
    with pytest.raises(ParameterError) as caught:
        check_parameters([], {"a": "1"})
    assert caught.value.hint == "There are no parameters to set."


@given(st.text(max_size=12))
def test_a_parameter_name_is_an_identifier(name: str) -> None:
    if is_parameter_name(name):
        compile(f"{name} = 1", "<cell>", "exec")
        assert name.isidentifier()


@given(st.text(max_size=30), st.sampled_from([NUMBER, INTEGER, BOOLEAN, STRING, {}]))
def test_any_text_is_converted_to_json_or_refused(text: str, schema: dict[str, Any]) -> None:
    parameter = Parameter("p", None, schema)
    try:
        value = check_parameters([parameter], {"p": text})["p"]
    except ParameterError:
        return
    # What was checked once passes a second time: schedules store it and run_pipeline checks again.
    json.dumps(value, allow_nan=False)
    if not isinstance(value, str):
        assert check_parameters([parameter], {"p": value}) == {"p": value}
