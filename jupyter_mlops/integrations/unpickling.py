"""Unpickling bytes whose signature the caller has verified."""

from __future__ import annotations

import pickle
from typing import Any

__all__ = ["unpickle"]


def unpickle(data: bytes) -> Any:
    """Return the object in a pickle.  Raises whatever the object's classes raise."""
    if b"statsmodels.formula" not in data:
        return pickle.loads(data)  # noqa: S301 - signed by this user's own session
    # A result of a formula builds its matrices again, and looks up the formula's functions in the
    # frame of whoever unpickles it, by the names that everybody gives these.
    import numpy as np
    import pandas as pd

    result = pickle.loads(data)  # noqa: S301 - signed by this user's own session
    del np, pd  # until here these names had to be in this frame
    return result
