"""policy.yaml: its gates, and what is said about it when it is not valid."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_mlops.errors import PipelineError
from jupyter_mlops.model.policy import Gate, Policy
from jupyter_mlops.pipelines import load_policy, save_policy

TEXT = """\
version: 1
gates:
  - name: floor
    metric: accuracy
    min: 0.9
  - metric: rmse
    not_worse_than: champion
    tolerance: 0.5
    direction: lower
    aliases:
      - champion
      - shadow
"""
POLICY = Policy(
    (
        Gate("floor", "accuracy", min=0.9),
        Gate(
            "rmse",
            "rmse",
            not_worse_than="champion",
            tolerance=0.5,
            direction="lower",
            aliases=("champion", "shadow"),
        ),
    )
)


def test_no_file_means_no_gates(tmp_path: Path) -> None:
    assert load_policy(tmp_path) == Policy()


def test_gates_are_read_and_written_back_the_same(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(TEXT)
    policy = load_policy(tmp_path)
    assert policy == POLICY
    assert policy.guards("shadow") == POLICY.gates[1:]
    assert save_policy(policy, tmp_path).read_text() == TEXT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a mapping with the keys version and gates"),
        ("version: 1", "the key 'gates' is missing"),
        ("version: 2\ngates: []", "this one reads version 1"),
        ("version: 1\ngates: [{metric: a}]", r"gates\[0\]: one of the keys min, max, not_worse"),
        ("version: 1\ngates: [{min: 1}]", r"gates\[0\]: the key 'metric' is missing"),
        ("version: 1\ngates: [{metric: a, mim: 1}]", r"unknown key 'mim' \(did you mean 'min'\?\)"),
        ("version: 1\ngates: [{metric: a, min: high}]", r"gates\[0\].min: must be the smallest"),
        ("version: 1\ngates: [{metric: a, min: .nan}]", "must be a finite number"),
        ("version: 1\ngates: [{metric: a, min: 2, max: 1}]", "min is larger than max"),
        ("version: 1\ngates: [{metric: a, min: 1, aliases: []}]", "aliases: must be a list"),
        ("version: 1\ngates: [{metric: a, min: 1, aliases: [latest]}]", "'latest' cannot be"),
        ("version: 1\ngates: [{metric: a, not_worse_than: v1}]", "'v1' cannot be an alias"),
        ("version: 1\ngates: [{metric: a, min: 1, direction: up}]", "direction: must be higher"),
        ("version: 1\ngates: [{metric: a, min: 1, tolerance: -1}]", "tolerance: must be a number"),
        (
            "version: 1\ngates: [{metric: a, min: 1}, {metric: a, max: 2}]",
            r"gates\[1\].name: two gates are called 'a'",
        ),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(PipelineError, match=message) as caught:
        load_policy(tmp_path)
    assert caught.value.message.startswith(str(tmp_path / "policy.yaml"))


NUMBERS = st.none() | st.floats(-1e6, 1e6)
WORDS = st.sampled_from(["champion", "shadow", "canary"])


@given(
    st.lists(
        st.builds(
            Gate,
            name=st.text(min_size=1, max_size=20),
            metric=st.text(min_size=1, max_size=20),
            min=NUMBERS,
            max=st.none() | st.floats(1e6, 1e7),
            not_worse_than=WORDS,
            tolerance=st.floats(0, 10),
            direction=st.sampled_from([None, "higher", "lower"]),
            aliases=st.lists(WORDS, min_size=1, unique=True).map(tuple),
        ),
        max_size=4,
        unique_by=lambda gate: gate.name,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_saving_and_loading_gives_the_same_policy(tmp_path: Path, gates: list[Gate]) -> None:
    policy = Policy(tuple(gates))
    save_policy(policy, tmp_path)
    assert load_policy(tmp_path) == policy
