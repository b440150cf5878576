"""Model folders that are damaged say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mlops.errors import CorruptError, NotFoundError
from jupyter_mlops.integrations.mlflow_signature import read_mlmodel, read_signature
from jupyter_mlops.model.signature import Column


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="MLmodel"):
        read_signature(tmp_path)
    with pytest.raises(NotFoundError):
        read_signature(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["[", "- a", "text", "a: !!python/object:os.system {}", "\x00"])
def test_no_mapping(tmp_path: Path, text: str) -> None:
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(CorruptError):
        read_mlmodel(tmp_path)


@pytest.mark.parametrize(
    "inputs", ["'['", "'[{}]'", "'{}'", "'[1]'", "5", '\'[{"type": "tensor"}]\'']
)
def test_a_signature_that_cannot_be_read(tmp_path: Path, inputs: str) -> None:
    (tmp_path / "MLmodel").write_text(f"signature:\n  inputs: {inputs}\n")
    if inputs == "'{}'":
        assert read_signature(tmp_path).columns == ()  # type: ignore[union-attr]
    else:
        with pytest.raises(CorruptError):
            read_signature(tmp_path)


def test_columns(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(
        'signature:\n  inputs: \'[{"type": "long", "name": "a", "required": false}]\'\n'
    )
    signature = read_signature(tmp_path)
    assert signature is not None
    assert signature.columns == (Column("a", "long", required=False),)
    assert signature.names == ("a",)
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    assert read_signature(tmp_path) is None
