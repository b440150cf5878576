"""The step cache: results of steps, by everything that they were made from."""

from .cache import RunCache, cached, with_evidence
from .store import CacheStore, Removed, Summary

__all__ = ["CacheStore", "Removed", "RunCache", "Summary", "cached", "with_evidence"]
