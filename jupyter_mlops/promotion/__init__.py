"""Promotion: a tracked notebook becomes a pipeline of what its result needs, with a proof."""

from .promote import Promotion, promote

__all__ = ["Promotion", "promote"]
