"""Promotion: a notebook's result becomes a pipeline of what it needs, with a proof."""

from .plan import PlanEdits, PromotionPlan
from .planning import plan
from .promote import Promotion, promote

__all__ = ["PlanEdits", "Promotion", "PromotionPlan", "plan", "promote"]
