"""A histogram over steps, by Matplotlib.

Guarantees: draws into the axes that it is given and into no other; opens no window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tbx_keras.errors import MissingDependencyError
from tbx_keras.reader.histograms import HistogramSeries

MOST_RIDGES = 40  # more are a blur
OVERLAP = 3.0  # height of the tallest ridge, in distances between two


def ridgeline(series: HistogramSeries, ax: Any = None) -> Any:
    """Draw a ridge for each step, the latest in front; the steps are on the vertical axis.

    Args:
        series: The histograms.
        ax: Matplotlib axes; those of a new figure if None.

    Returns:
        The axes.

    Raises:
        MissingDependencyError: Matplotlib is not installed.
    """
    ax = _new_axes() if ax is None else ax
    edges, counts = series.rebin()
    shown = _spaced(len(series))
    heights = counts[shown] / max(counts.max(initial=0.0), 1e-12) * OVERLAP
    centers = (edges[:-1] + edges[1:]) / 2
    for place, height in enumerate(heights):
        base = len(shown) - 1 - place  # the first step is at the top, behind the others
        shade = 0.85 - 0.6 * place / max(len(shown) - 1, 1)
        ax.fill_between(
            centers, base, base + height, color=(1.0, shade, 0.2), ec="white", lw=0.8, zorder=place
        )
    places = _spaced(len(shown), 8)
    ax.set_yticks(
        [len(shown) - 1 - place for place in places], [series.steps[shown[place]] for place in places]
    )
    ax.set(xlabel="value", ylabel="step", title=series.tag)
    return ax


def _spaced(number: int, most: int = MOST_RIDGES) -> list[int]:
    """Choose evenly spaced indices from the first to the last."""
    return sorted({round(place) for place in np.linspace(0, number - 1, min(number, most))}) if number else []


def _new_axes() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "matplotlib is not installed", "pip install 'tbx_keras[read]'"
        ) from error
    return Figure(figsize=(7, 4.5), layout="constrained").add_subplot()
