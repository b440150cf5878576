"""YAML as pipeline files use it: YAML 1.2's scalars, no aliases, no duplicate keys."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.pipelines.yaml_text import YamlProblem, dump_yaml, parse_yaml

TEXT = st.text(st.characters(), max_size=40)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),  # text in YAML 1.1
        ("1E5", 100000.0),
        ("5.", 5.0),
        (".5", 0.5),
        ("-.5e+1", -5.0),
        ("0o17", 15),
        ("0x1f", 31),
        ("017", 17),  # fifteen in YAML 1.1
        ("1:30", "1:30"),  # ninety in YAML 1.1
        ("on", "on"),  # true in YAML 1.1
        ("no", "no"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),  # a date in YAML 1.1
        ("1_000", "1_000"),
        ("'1'", "1"),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    found = parse_yaml(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x [1]\nb: *x", "line 2, column 4: aliases"),
        ("a: 1\na: 2", "line 2, column 1: the key 'a' is there twice"),
        ("a: 1\n'a': 2", "twice"),
        ("? [1]\n: 2", "a key must be a plain word"),
        ("a: [", "line 1"),
        ("a\n\tb: 1", "line 2"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("!x 1", "could not determine a constructor"),
        ("--- 1\n--- 2", "expected a single document"),
        ("- " * 20_000, "nested too deeply"),
        ("[" * 20_000, "nested too deeply"),
        ("a: \x01", "special characters are not allowed"),
        ("1" * 5000, "digits"),
    ],
)
def test_what_is_refused_and_why(text: str, reason: str) -> None:
    with pytest.raises(YamlProblem, match=reason.replace("(", r"\(").replace("*", r"\*")):
        parse_yaml(text)


@given(DATA)
def test_what_is_written_is_read_back_the_same(data: Any) -> None:
    assert parse_yaml(dump_yaml(data)) == data


@given(TEXT)
def test_text_stays_text_for_readers_of_yaml_1_1_too(text: str) -> None:
    assert yaml.safe_load(dump_yaml({"key": text})) == {"key": text}


@given(st.text(max_size=200))
def test_any_text_is_data_or_a_yaml_problem(text: str) -> None:
    with contextlib.suppress(YamlProblem):
        parse_yaml(text)


def test_lists_are_indented_and_long_lines_stay_whole() -> None:
    long = "word " * 100 + "end"
    assert dump_yaml({"a": [1, {"b": 2}], "text": long, "lines": "x\ny\n"}) == (
        f"a:\n  - 1\n  - b: 2\ntext: {long}\nlines: |\n  x\n  y\n"
    )
