from __future__ import annotations

from ..agent.living import living
from ..scheduling.conftest import pipeline

__all__ = ["living", "pipeline"]
