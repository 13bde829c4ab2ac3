"""Percentiles of what was measured."""

from collections.abc import Sequence


def percentile(values: Sequence[float], p: float) -> float:
    """By nearest rank, of sorted values. There must be one."""
    return values[max(0, -(-len(values) * int(p * 10) // 1000) - 1)]
