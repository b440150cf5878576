"""Promotion: a notebook's result becomes a pipeline of what it needs, with a proof."""

from .plan import PlanEdits, PromotionPlan
from .planning import plan
from .promote import Promotion, promote
from .retest import Retest, RunResult, read_proof, retest

__all__ = [
    "PlanEdits",
    "Promotion",
    "PromotionPlan",
    "Retest",
    "RunResult",
    "plan",
    "promote",
    "read_proof",
    "retest",
]
