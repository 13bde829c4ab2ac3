"""Draws the distributions of lateness: one row a size, one line a contestant, a logarithmic axis of milliseconds."""

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from tests.benchmarks.lateness import Tally


def draw(tallies: "list[Tally]", path: Path) -> None:
    """Cumulative shares: further left is closer to the opening, steeper is more even."""
    counts = sorted({tally.count for tally in tallies})
    figure, axes = plt.subplots(len(counts), 1, figsize=(9, 2.6 * len(counts)), sharex=True, squeeze=False)
    for row, count in zip(axes[:, 0], counts, strict=True):
        for tally in (t for t in tallies if t.count == count):
            late = tally.pooled()
            if late:
                row.step(late, [(i + 1) / len(late) for i in range(len(late))], where="post", label=tally.contestant)
        row.set_xscale("log")
        row.set_ylabel(f"N = {count}\nshare arrived")
        row.grid(visible=True, which="both", alpha=0.25)
    axes[0, 0].legend(loc="lower right", frameon=False)
    axes[-1, 0].set_xlabel("milliseconds after the opening, at the gym")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
