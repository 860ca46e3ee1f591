"""The simulation of many workers runs, loses nothing, and stays within the bound of what is sent."""

import pytest

from benchmarks import scale
from tbx_keras.writers.sinks import object_store

pytestmark = pytest.mark.slow


def figures(rows):
    return {row.who: row.value for row in rows}


def test_each_worker_has_a_file_and_nothing_is_lost(tmp_path):
    found = figures(scale.on_disk(str(tmp_path), workers=3, duration=2000))
    assert (found["values lost"], found["files"]) == (0, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["worker-0", "worker-1", "worker-2"]
    assert found["bytes of a worker"] > 1


@pytest.mark.parametrize("gradients", [True, False])
def test_a_store_is_sent_no_more_than_its_bound(gradients):
    day = 24 * 3600
    found = figures(scale.in_store("of a test", gradients, duration=day))
    most = object_store.RESEND * found["recorded"] + (object_store.SLACK + object_store.RATE * day) / 1e6
    assert found["recorded"] < found["sent"] <= 1.02 * most
    assert found["objects"] <= found["requests"] <= day / scale.METRICS_EVERY
