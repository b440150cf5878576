from __future__ import annotations

import pytest

from jupyter_mlops.capture.redact import REDACTED, is_secret_name, redact


@pytest.mark.parametrize(
    "name",
    [
        "password", "PASSWORD", "db_password", "passwd", "api_key", "API_KEY", "apiKey",
        "openaiApiKey", "token", "hf_token", "AUTH_TOKEN", "accessToken", "secret",
        "client_secret", "aws_secret_key",
        "private_key", "credentials", "apikey", "my.secret", "connection_string", "passphrase",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert redact(name, "hunter2") == REDACTED
    assert redact(name, ["a"]) == REDACTED


@pytest.mark.parametrize(
    "name",
    ["lr", "tokenizer", "max_tokens", "n_tokens", "key", "key_metric", "monkey", "passed",
     "secretary", "compass_word", "keyboard", "api", "access", "author", "passing_rate"],
)  # fmt: skip
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)
    assert redact(name, "value") == "value"


def test_a_count_of_tokens_is_no_secret_and_a_numeric_password_is() -> None:
    assert redact("token", 5) == 5
    assert redact("password", 1234) == REDACTED
    assert redact("password", None) is None
