"""One registry: a value finds its encoder by its type."""

from dataclasses import dataclass

import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import pr_curve_raw

from tbx_keras.errors import UnsupportedValueError
from tbx_keras.values import RecordBatch, Scalar, Text
from tbx_keras.writers import AsyncEventWriter
from tbx_keras.writers.encode import Place, _encoders, encode, encodes
from tests.reading import accumulate

PLACE = Place(1, 0.0, str)


def test_a_value_of_no_known_kind_is_refused():
    with pytest.raises(UnsupportedValueError, match="object"):
        encode(object(), PLACE)


def test_a_text_goes_to_the_text_plugin():
    value = Event.FromString(encode(Text("note", "hä"), PLACE)).summary.value[0]
    assert value.tag == "note/text_summary"
    assert value.metadata.plugin_data.plugin_name == "text"


def test_a_proto_of_tensorboardx_needs_no_encoder(tmp_path):
    ones = [1.0, 2.0, 3.0]
    curve = pr_curve_raw("curve", ones, ones, ones, ones, ones, ones, num_thresholds=3)
    assert isinstance(curve, Summary)
    writer = AsyncEventWriter(tmp_path)
    writer.submit(RecordBatch("train", "step", 7, [curve]))
    writer.close()
    events = accumulate(tmp_path, "train")
    (event,) = events.Tensors("curve")
    assert event.step == 7


def test_a_kind_of_ones_own_is_one_class_and_one_encoder(tmp_path):
    @dataclass(frozen=True)
    class Ratio:
        tag: str
        over: float
        under: float

    @encodes(Ratio)
    def ratio(value, place):
        return encode(Scalar(value.tag, value.over / value.under), place)

    try:
        writer = AsyncEventWriter(tmp_path)
        writer.submit(RecordBatch("train", "step", 3, [Ratio("r", 1.0, 4.0)]))
        writer.close()
    finally:
        del _encoders[Ratio]
    assert [one.value for one in accumulate(tmp_path, "train").Scalars("r")] == [0.25]
