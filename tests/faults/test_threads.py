"""Many threads on one writer, and several models that train at once."""

import threading
import time
from collections import Counter

import keras
import pytest
import tf_keras
from tensorboardX.proto.event_pb2 import Event

from tbx_keras import SummaryWriter, TbxLogger
from tbx_keras.writers.records import unframed
from tests import zoo
from tests.reading import accumulate, histogram_tags, scalar

SECONDS = 30


@pytest.mark.slow
def test_sixteen_threads_on_one_writer(tmp_path):
    writer = SummaryWriter(tmp_path)
    steps = [0] * 16
    end = time.monotonic() + SECONDS

    def record(number: int) -> None:
        while time.monotonic() < end:
            writer.add_scalar(f"loss/{number}", float(steps[number]), steps[number])
            steps[number] += 1
            time.sleep(0.003)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.close()
    found: Counter = Counter()
    for path in tmp_path.iterdir():
        with path.open("rb") as file:
            for event in map(Event.FromString, unframed(file)):
                found.update((value.tag, event.step) for value in event.summary.value)
    assert found == Counter((f"loss/{n}", step) for n in range(16) for step in range(steps[n]))
    assert min(steps) > 100


@pytest.mark.slow
@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_several_models_train_at_once(k, tmp_path):
    errors = []

    def train(number: int) -> None:
        try:
            model = zoo.sequential(k)
            model.compile(k.optimizers.SGD(0.01), "mse")
            logger = TbxLogger(tmp_path / str(number), update_freq=1)
            model.fit(*zoo.batch(40), batch_size=8, epochs=2, verbose=0, callbacks=[logger])
            assert logger.report.errors == logger.report.dropped == 0
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=train, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for number in range(3):
        events = accumulate(tmp_path, str(number), "train")
        assert set(scalar(events, "batch_loss")) == set(range(1, 11))
        assert any(tag.startswith("gradients/") for tag in histogram_tags(events))
