"""Draws lateness: its distributions, and the last arrival over the size of the crowd."""

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from tests.benchmarks.crowds import Crowd
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


def draw_capacity(crowds: "list[Crowd]", in_time_ms: float, path: Path) -> None:
    """The last arrival over the size of the crowd; below the dashed line it is in time.

    A triangle is the last of the first half of twice as many as were in time. Contestants without a lead are in each
    drawing.
    """
    leads = sorted({crowd.lead_s for crowd in crowds if crowd.lead_s}) or [0]
    names = list(dict.fromkeys(crowd.contestant for crowd in crowds))
    figure, axes = plt.subplots(len(leads), 1, figsize=(9, 3.4 * len(leads)), sharex=True, squeeze=False)
    for axis, lead in zip(axes[:, 0], leads, strict=True):
        for number, name in enumerate(names):
            mine = [crowd for crowd in crowds if crowd.contestant == name and crowd.lead_s in {0, lead}]
            mine.sort(key=lambda crowd: crowd.count)
            axis.plot([one.count for one in mine], [one.last for one in mine], f"C{number}", marker="o", label=name)
            twice = [crowd for crowd in mine if crowd.twice]
            axis.plot([one.count for one in twice], [one.first_half for one in twice], f"C{number}^")
        axis.axhline(in_time_ms, linestyle="--", color="grey")
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_ylabel(f"lead {lead} s\nlast, ms late")
        axis.grid(visible=True, which="both", alpha=0.25)
    axes[0, 0].legend(loc="upper left", frameon=False)
    axes[-1, 0].set_xlabel("members who want one opening (a triangle: the first half of twice as many as were in time)")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
