"""How long something took, as people read it in logs and reports."""

from __future__ import annotations

__all__ = ["duration"]


def duration(seconds: float) -> str:
    """``0.41 s``, ``12.3 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
