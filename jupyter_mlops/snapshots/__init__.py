"""Data snapshots: digests of frames and arrays."""
