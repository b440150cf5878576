"""Fitted models as signed pickles in the blob store, until delivery has made them model folders."""

from __future__ import annotations

import sys
from typing import Any

from ..journal import BlobStore, sign
from ..model.events import ModelRecord
from .model_kinds import Found, torch_parameters
from .model_pickling import TooLarge, dump
from .model_requirements import requirements

__all__ = ["left_out", "spool"]

_EXAMPLE_LIMIT = 1024 * 1024  # Bytes; five rows larger than this are no example.


def left_out(found: Found, reason: str) -> ModelRecord:
    """The record of a model whose bytes are not kept, and why."""
    return ModelRecord(
        name=found.name,
        class_name=type(found.model).__name__,
        reason=reason,
        flavor=found.flavor,
    )


def spool(
    found: Found,
    example_name: str | None,
    example: Any,
    blobs: BlobStore,
    limit: int,
    *,
    consent: str | None = None,
) -> ModelRecord:
    """Pickle a model with its example, sign it, store it; return its record.

    Protocol 5, by cloudpickle where a class or function of the notebook, or of a module that is not
    installed, is inside.  A model that is larger than ``limit`` bytes or that cannot be pickled
    gives a record without a blob that says so.  ``consent`` says who allowed that the model is
    stored in a format that runs code when it is loaded (``trust_pickle``, ``--allow-pickle``);
    without it delivery stores it only where it needs none.  Raises ``OSError`` when the blob
    cannot be written.
    """
    if example is not None and not _is_small(example):
        example_name = example = None
    too_large = f"larger than the limit of {limit:,} bytes (model-size-limit)"
    if _network_size(found) > limit:  # PyTorch copies all of it before the limit is seen.
        return left_out(found, too_large)
    try:
        data, form, modules = dump({"model": found.model, "example": example}, limit)
    except TooLarge:
        return left_out(found, too_large)
    except Exception as error:
        return left_out(found, f"cannot be pickled: {type(error).__name__}: {error}"[:300])
    if found.flavor == "keras":
        modules |= {_keras_backend()}
    return ModelRecord(
        name=found.name,
        class_name=type(found.model).__name__,
        blob=blobs.put(data),
        format=form,
        signature=sign(data),
        size=len(data),
        example_name=example_name,
        example_format=_table_format(example),
        flavor=found.flavor,
        consent=consent,
        requirements=requirements(modules),
    )


def _network_size(found: Found) -> int:
    """Bytes of a PyTorch module's parameters; 0 for any other model."""
    if found.flavor != "pytorch":
        return 0
    try:
        return sum(p.numel() * p.element_size() for p in torch_parameters(found.model))
    except Exception:
        return 0


def _keras_backend() -> str:
    """What Keras computes with here; delivery needs the same to load the model."""
    try:
        return str(sys.modules["keras"].backend.backend())
    except Exception:
        return ""


def _table_format(example: Any) -> str | None:
    """The format in which a pipeline step can hand such an example over, if there is one."""
    if hasattr(example, "to_parquet") and hasattr(example, "columns"):
        return "parquet" if all(isinstance(name, str) for name in example.columns) else None
    array = type(example).__module__ == "numpy" and not example.dtype.hasobject
    return "npy" if array else None


def _is_small(example: Any) -> bool:
    try:
        dump(example, _EXAMPLE_LIMIT)
    except Exception:
        return False
    return True
