"""Sweeps over combinations of parameters, and the search for the best ones."""

from .axes import split_axis
from .outcome import Combination, SweepOutcome
from .searching import tune
from .sweeping import sweep

__all__ = ["Combination", "SweepOutcome", "split_axis", "sweep", "tune"]
