"""Draws the distributions of lateness: one row a size, one line a contestant, a logarithmic axis of milliseconds."""

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from tests.benchmarks.capacity import Measured
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


def draw_capacity(rows: "list[Measured]", in_time_ms: float, path: Path) -> None:
    """The last arrival over the size of the crowd; below the dashed line it is in time."""
    leads = sorted({row.lead_s for row in rows})
    figure, axes = plt.subplots(
        max(1, len(leads)), 1, figsize=(9, 2.8 * max(1, len(leads))), sharex=True, squeeze=False
    )
    for axis, lead in zip(axes[:, 0], leads, strict=False):
        for name in sorted({row.contestant for row in rows}):
            mine = [row for row in rows if (row.lead_s, row.contestant) == (lead, name)]
            axis.plot([row.count for row in mine], [row.last for row in mine], marker="o", label=name)
        axis.axhline(in_time_ms, linestyle="--", color="grey")
        axis.set_yscale("log")
        axis.set_ylabel(f"lead {lead} s\nlast, ms late")
        axis.grid(visible=True, which="both", alpha=0.25)
    if rows:
        axes[0, 0].legend(loc="upper left", frameon=False)
    axes[-1, 0].set_xlabel("members who want one opening")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
