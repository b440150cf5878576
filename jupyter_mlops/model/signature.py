"""A model's signature: what it takes and returns, in MLflow's own words.

MLflow keeps a signature as lists of columns (a DataFrame) or of tensors (arrays) in the ``MLmodel``
file; see https://mlflow.org/docs/latest/ml/model/signatures/.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Column", "Signature", "Tensor"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    ``type`` is MLflow's: ``boolean``, ``integer`` (32 bit), ``long`` (64 bit), ``float`` (32 bit),
    ``double`` (64 bit), ``string``, ``binary``, ``datetime``, or the name of a nested type
    (``array``, ``object``, ``map``, ``any``).  ``name`` is ``None`` for a column without a name.
    """

    name: str | None
    type: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Tensor:
    """An array: ``dtype`` is NumPy's name of it, ``-1`` in ``shape`` an axis of any length."""

    name: str | None
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and returns: columns, or else tensors; empty where it is not known."""

    columns: tuple[Column, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    output_columns: tuple[Column, ...] = ()
    output_tensors: tuple[Tensor, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the input columns, in order; empty where they have none."""
        return tuple(column.name for column in self.columns if column.name is not None)
