"""A series of histograms as arrays.

Guarantees: arrays are float64 and never written to. Counts survive resampling within the range: their sum
stays the same when the range covers all buckets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tbx_keras.checked_numbers import count_of
from tbx_keras.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class HistogramSeries:
    """The histograms of one tag, step by step.

    Args:
        tag: Name of the series.
        run: Run that it belongs to.
        steps: int64 array `(n,)`.
        wall_times: float64 array `(n,)`, seconds since 1970.
        edges: For each step a float64 array `(k + 1,)` of bucket edges; `k` may differ.
        counts: For each step a float64 array `(k,)`.

    Example:
    ```python
    import numpy as np

    from tbx_keras.reader import HistogramSeries

    old_edges, old_counts = (np.array([0.0, 1.0, 2.0]),), (np.array([3.0, 1.0]),)
    series = HistogramSeries(
        "weights/a", "train", np.array([0]), np.array([0.0]), old_edges, old_counts
    )
    edges, counts = series.rebin(bins=4)
    assert counts.tolist() == [[1.5, 1.5, 0.5, 0.5]]
    ```
    """

    tag: str
    run: str
    steps: np.ndarray
    wall_times: np.ndarray
    edges: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.steps)

    def rebin(
        self, bins: int = 60, range: tuple[float, float] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move histograms into common buckets of equal width; elements are spread evenly within a bucket.

        Args:
            bins: Number of buckets.
            range: Lowest and highest edge; those of all steps together if None.

        Returns:
            Edges `(bins + 1,)` and counts `(n, bins)`, float64.

        Raises:
            ArgumentError: `bins` is not positive, or `range` does not rise.
        """
        number = count_of("bins", bins, "an integer number of buckets >= 1")
        low, high = self._extent() if range is None else range
        if not (np.isfinite([low, high]).all() and low < high):
            raise ArgumentError("range", range, "a pair of finite numbers that rises")
        edges = np.linspace(low, high, number + 1)
        rows = [_spread(edges, *one) for one in zip(self.edges, self.counts)]
        return edges, np.array(rows).reshape(len(rows), number)

    def _extent(self) -> tuple[float, float]:
        ends = [(edges[0], edges[-1]) for edges in self.edges if len(edges)]
        low, high = (min(end[0] for end in ends), max(end[1] for end in ends)) if ends else (0.0, 1.0)
        # All elements may be one number: give it a bucket around it.
        return (
            (low, high) if low < high else (low - 0.5 * max(abs(low), 1e-3), low + 0.5 * max(abs(low), 1e-3))
        )


def series_of(tag: str, run: str, points: Sequence[tuple[int, float, Any]]) -> HistogramSeries:
    """Make the series of a tag.

    Args:
        tag: Its name.
        run: Its run.
        points: Step, wall time and TensorBoard's array `(k, 3)` of left edge, right edge and count.

    Returns:
        The series.
    """
    arrays = [np.asarray(array, np.float64).reshape(-1, 3) for _, _, array in points]
    return HistogramSeries(
        tag,
        run,
        np.array([step for step, _, _ in points], np.int64),
        np.array([time for _, time, _ in points]),
        tuple(np.append(array[:, 0], array[-1:, 1]) for array in arrays),
        tuple(array[:, 2] for array in arrays),
    )


def _spread(edges: np.ndarray, old: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Move counts into new buckets, by the cumulative count at their edges."""
    if not len(counts):
        return np.zeros(len(edges) - 1)
    below = np.interp(edges, old, np.concatenate([[0.0], np.cumsum(counts)]))
    return np.diff(below)
