from __future__ import annotations

from .living import living

__all__ = ["living"]
