"""The critical-difference diagram over scenes: an illustration of mean ranks, not the test that the tables rest on."""

from __future__ import annotations

from itertools import count

import pandas as pd
from matplotlib.figure import Figure

from report.figures import Picture, draw
from report.overall import Overall
from report.pairing import mean_ranks
from report.text import figure_text, one_line

_FEWEST = 3


def critical_difference_picture(overall: Overall, numbers: count[int]) -> Picture | None:
    """Return the diagram of one table over scenes, None where fewer than three entrants are ranked.

    Scenes are the blocks, each with its mean test OA: repeats on one scene are no independent scenes.

    Args:
        overall: the table.
        numbers: gives the next figure's number.

    **Source:** Demsar 2006, JMLR 7, sec. 3.2.2 and fig. 1: Nemenyi's test, by scikit-posthocs.
    **Differs:** Friedman's own test does not come before it.
    """
    # Slow to import, and needed by this figure alone.
    import scikit_posthocs

    ranked = [entry.shown for entry in overall.entries if entry.rank is not None]
    if len(ranked) < _FEWEST:
        return None
    # The place in the table keeps names apart that are equal once shortened.
    names = [
        figure_text(f"{place} {items[0].method} ({items[0].protocol})") for place, items in enumerate(ranked, start=1)
    ]
    means = pd.DataFrame([[float(item.oa.mean()) for item in items] for items in ranked]).T
    ranks = pd.Series(mean_ranks(means.to_numpy()))
    p_values = scikit_posthocs.posthoc_nemenyi_friedman(means)
    stem = f"{next(numbers):02d}-critical-difference"

    def paint(figure: Figure, ink: str) -> None:
        axes = figure.subplots()
        # Entrants go in as numbers: the package orders its bars by hashes, which of text differ between processes.
        scikit_posthocs.critical_difference_diagram(
            ranks, p_values, ax=axes, label_fmt_left="{label}", label_fmt_right="{label}", label_props={"size": 7},
            crossbar_props={"color": ink}, elbow_props={"color": ink, "linewidth": 0.6},
        )  # fmt: skip
        for text in axes.texts:
            index = int(text.get_text())
            text.set_text(f"{names[index]}, {ranks[index]:.1f}")

    apart = int((p_values.to_numpy() < 0.05).sum()) // 2
    n_scenes, n_pairs = len(overall.scenes), len(ranked) * (len(ranked) - 1) // 2
    return Picture(
        stem=stem,
        files=draw(paint, 1.2 + 0.13 * len(ranked), stem),
        data=pd.DataFrame({"entrant": names, "mean_rank": ranks.to_list()}),
        alt=f"Mean ranks of {len(ranked)} entrants over {n_scenes} scenes; the best is {names[int(ranks.argmin())]}.",
        caption=(
            f"Critical-difference diagram, {one_line(overall.title)}. Mean ranks by the mean test OA of each scene; "
            f"bars join entrants that Nemenyi's test does not separate at 5%: it separates {apart} of {n_pairs} pairs. "
            f"An illustration: {n_scenes} scenes are few for {len(ranked)} entrants. Numbers are places in the table."
        ),
    )
