"""Models as people fit them."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def rows() -> Any:
    """A frame with a column of each kind that people have."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(0)
    n = 40
    return pd.DataFrame(
        {
            "amount": random.gamma(2.0, 3.0, n),
            "count": random.integers(0, 9, n),
            "small": random.integers(0, 9, n).astype("int16"),
            "share": random.random(n).astype("float32"),
            "late": random.random(n) < 0.3,
            "town": random.choice(["Bronx", "Queens"], n),
            "when": pd.date_range("2024-01-01", periods=n),
            "score": np.where(random.random(n) < 0.3, np.nan, 1.5),
        }
    )
