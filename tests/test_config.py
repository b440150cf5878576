"""Precedence and validation of the configuration."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from jupyter_mlops.config import Config, is_local_uri, load_config
from jupyter_mlops.errors import UsageError


def write(root: Path, text: str) -> None:
    (root / "pyproject.toml").write_text(text)


def test_defaults_are_local() -> None:
    config = load_config(None, env={})
    assert config == Config()
    assert config.tracking_uri is None


def test_each_source_overrides_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, '[tool.jupyter-mlops]\nexperiment = "file"\nagent-idle = 5\ncapture="full"\n')
    env = {"JUPYTER_MLOPS_EXPERIMENT": "env", "JUPYTER_MLOPS_AGENT_IDLE": "7"}
    config = load_config(tmp_path, env=env, experiment="argument")
    assert (config.experiment, config.agent_idle, config.capture) == ("argument", 7.0, "full")
    assert load_config(tmp_path, env=env).experiment == "env"
    assert load_config(tmp_path, env={}).experiment == "file"
    assert load_config(tmp_path, env={}, experiment=None).experiment == "file"


def test_mlflow_variable_is_used_and_ours_wins(tmp_path: Path) -> None:
    assert load_config(tmp_path, env={"MLFLOW_TRACKING_URI": "http://a"}).tracking_uri == "http://a"
    both = {"MLFLOW_TRACKING_URI": "http://a", "JUPYTER_MLOPS_TRACKING_URI": "http://b"}
    assert load_config(tmp_path, env=both).tracking_uri == "http://b"


def test_it_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().agent = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.jupyter-mlops]\nexperimnt = 'x'\n", ["pyproject.toml", "'experimnt'"]),
        ("[tool.jupyter-mlops]\nagent = 'perhaps'\n", ["'agent'", "bool", "'perhaps'"]),
        ("[tool.jupyter-mlops]\ncapture = 'most'\n", ["'capture'", "minimal", "'most'"]),
        ("[tool.jupyter-mlops]\nagent-idle = -1\n", ["'agent_idle'", "positive"]),
        ("[tool.jupyter-mlops]\nserve-row-limit = true\n", ["'serve_row_limit'", "int"]),
        ("[tool.jupyter-mlops\n", ["pyproject.toml", "not valid TOML"]),
    ],
)
def test_bad_settings_name_source_setting_and_problem(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path, env={})
    for word in words:
        assert word in str(caught.value)


def test_a_broken_file_that_is_not_about_us_is_not_our_business(tmp_path: Path) -> None:
    write(tmp_path, "[project\n")
    assert load_config(tmp_path, env={}) == Config()


@pytest.mark.parametrize("word", ["0", "off", "False", "no"])
def test_booleans_from_the_environment(word: str) -> None:
    assert load_config(None, env={"JUPYTER_MLOPS_AGENT": word}).agent is False


@pytest.mark.parametrize(
    ("uri", "local"),
    [
        ("sqlite:////x/mlflow.db", True),
        ("file:///x", True),
        ("./mlruns", True),
        ("http://127.0.0.1:5000", True),
        ("http://localhost:5000", True),
        ("http://[::1]:5000", True),
        ("http://localhost.example.org", False),
        ("https://mlflow.example.org", False),
        ("databricks", False),  # a bare word that MLflow knows as a remote service
        ("postgresql+psycopg2://db/x", False),
    ],
)
def test_which_addresses_stay_on_this_machine(uri: str, local: bool) -> None:
    assert is_local_uri(uri) is local


def test_inputs_are_kept_or_not_and_nothing_else() -> None:
    assert load_config(env={}).snapshot_inputs == "auto"
    config = load_config(env={"JUPYTER_MLOPS_SNAPSHOT_INPUTS": "never"})
    assert config.snapshot_inputs == "never"
    with pytest.raises(UsageError, match="'snapshot_inputs' must be one of auto, never"):
        load_config(env={"JUPYTER_MLOPS_SNAPSHOT_INPUTS": "sometimes"})
    with pytest.raises(UsageError, match="positive"):
        load_config(env={"JUPYTER_MLOPS_SNAPSHOT_INPUT_LIMIT": "0"})
