"""A ridge for each step, in the axes that were given."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tbx_keras import SummaryWriter, read
from tbx_keras.reader.plots import MOST_RIDGES


@pytest.fixture(params=[0, 1, 5, 200])
def records(request, tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss", 1.0, 0)
        for step in range(request.param):
            writer.add_histogram("weights", np.random.default_rng(step).normal(step, 1, 50), step * 10)
    return read(tmp_path), request.param


def test_a_ridge_for_each_step(records, tmp_path):
    found, steps = records
    if not steps:
        assert found.histograms == ()
        return
    ax = found.plot_histogram("weights")
    assert len(ax.collections) == min(steps, MOST_RIDGES)
    assert ax.get_title() == "weights"
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "0"
    assert labels[-1] == str((steps - 1) * 10)
    ax.figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5_000


def test_axes_of_ones_own(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("weights", np.arange(5.0), 0)
    ax = Figure().add_subplot()
    assert read(tmp_path).plot_histogram("weights", ax=ax) is ax
