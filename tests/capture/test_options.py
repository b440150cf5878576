from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.capture.options import OPTIONS, TrackOptions, parse_options

NAMES = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/:@\\"), min_size=1
).filter(lambda s: s.strip() == s and len(s) <= 200 and not s.startswith("--"))


@given(st.text())
def test_no_line_raises_and_every_warning_names_an_option_of_it(line: str) -> None:
    options, warnings = parse_options(line)
    json.dumps(options.to_dict())
    assert all(warning.startswith("%%track ") or "quotes" in warning for warning in warnings)


@given(
    st.lists(
        st.sampled_from([*OPTIONS, "--bogus", "x", "--name=a", "--tag=k=v", "--dry-run=1", "-r"])
    )
)
def test_options_in_any_order_and_number(words: list[str]) -> None:
    options, warnings = parse_options(" ".join(words))
    assert isinstance(options, TrackOptions)
    if "--bogus" in words:
        assert [w for w in warnings if "--bogus" in w] or "--bogus" in str(options.to_dict())


@given(
    NAMES,
    NAMES,
    st.dictionaries(st.from_regex(r"[a-z_.]{1,10}", fullmatch=True), st.text(max_size=50)),
)
def test_what_is_quoted_comes_back(name: str, model: str, tags: dict[str, str]) -> None:
    line = f"--name {shlex.quote(name)} --register={shlex.quote(model)}"
    line += "".join(f" --tag {shlex.quote(f'{k}={v}')}" for k, v in tags.items())
    options, warnings = parse_options(line)
    assert warnings == ()
    assert options == TrackOptions(name=name, register=model, tags=tags)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", TrackOptions()),
        ("--register taxi-tips", TrackOptions(register="taxi-tips")),
        ("--register=taxi", TrackOptions(register="taxi")),
        ("--experiment 'a b'", TrackOptions(experiment="a b")),
        ("--tag a=1 --tag b=x=y --tag c=", TrackOptions(tags={"a": "1", "b": "x=y", "c": ""})),
        ("--no-models --dry-run", TrackOptions(models=False, dry_run=True)),
        ("--name a --name b", TrackOptions(name="b")),
    ],
)
def test_good_lines(line: str, expected: TrackOptions) -> None:
    assert parse_options(line) == (expected, ())


@pytest.mark.parametrize(
    ("line", "words", "kept"),
    [
        ("--regsiter m", ["--regsiter", "unknown", "--register?"], TrackOptions()),
        ("--bogus 3 --name n", ["--bogus", "unknown"], TrackOptions(name="n")),
        ("--register", ["--register", "needs a value"], TrackOptions()),
        ("--register --name n", ["--register", "needs a value"], TrackOptions(name="n")),
        ("--register a/b", ["--register", "'a/b'", "cannot name a model"], TrackOptions()),
        ("--register ''", ["--register", "needs a value"], TrackOptions()),
        ("--tag novalue", ["--tag", "'novalue'", "key=value"], TrackOptions()),
        ("--tag =v", ["--tag", "key=value"], TrackOptions()),
        ("--dry-run=yes", ["--dry-run", "no value"], TrackOptions()),
        ("stray", ["stray", "not an option"], TrackOptions()),
        ("--name it's", ["quotes"], TrackOptions(name="it's")),
        (f"--name {'n' * 501}", ["--name", "500"], TrackOptions()),
        ("--register m --no-models", ["--no-models", "--register"], TrackOptions(register="m")),
    ],
)
def test_bad_options_are_one_warning_that_names_them(
    line: str, words: list[str], kept: TrackOptions
) -> None:
    options, warnings = parse_options(line)
    assert options == kept
    (warning,) = warnings
    assert "\n" not in warning
    for word in words:
        assert word in warning
