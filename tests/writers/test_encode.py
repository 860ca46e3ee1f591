import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary

from tbx_keras.errors import ValueRefused
from tbx_keras.values import Histogram, Text
from tbx_keras.writers.encode import encode, scalar_event


@given(
    tag=st.text(min_size=1),
    value=st.floats(width=32, allow_nan=False),
    step=st.integers(-(2**63), 2**63 - 1),
    time=st.floats(1, 1e10),
)
def test_a_scalar_is_packed_as_the_proto_would(tag, value, step, time):
    packed = Event.FromString(scalar_event(tag, value, step, time))
    proto = Event(
        wall_time=time, step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    )
    assert packed == proto


@pytest.mark.parametrize(
    ("value", "expected"), [(1e300, math.inf), (-1e300, -math.inf), (math.inf, math.inf)]
)
def test_a_number_beyond_float32_is_infinite(value, expected):
    assert Event.FromString(scalar_event("t", value, 0, 0.0)).summary.value[0].simple_value == expected


def test_nan_stays_nan():
    assert math.isnan(Event.FromString(scalar_event("t", math.nan, 0, 0.0)).summary.value[0].simple_value)


def test_a_histogram_keeps_its_edges_and_drops_runs_of_empty_buckets():
    histogram = Histogram("t", np.arange(8.0), np.array([1, 0, 0, 0, 0, 2, 3]), 0.0, 7.0, 6, 1.0, 1.0)
    proto = Event.FromString(encode(histogram, 1, 0.0, str)).summary.value[0].histo
    assert list(proto.bucket_limit) == [0, 1, 5, 6, 7]
    assert list(proto.bucket) == [0, 1, 0, 2, 3]


def test_a_value_of_no_known_kind_is_refused():
    with pytest.raises(ValueRefused, match="object"):
        encode(object(), 0, 0.0, str)


def test_a_text_goes_to_the_text_plugin():
    value = Event.FromString(encode(Text("note", "hä"), 1, 0.0, str)).summary.value[0]
    assert value.tag == "note/text_summary"
    assert value.metadata.plugin_data.plugin_name == "text"


def test_steps_of_numpy():
    assert scalar_event("a", 1.0, np.int64(7), 3.0) == scalar_event("a", 1.0, 7, 3.0)
    assert scalar_event("a", 1.0, np.int32(-1), 3.0) == scalar_event("a", 1.0, -1, 3.0)
