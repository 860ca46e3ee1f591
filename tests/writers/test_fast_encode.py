"""The protos of tensorboardX are the oracle."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import HistogramProto, Summary

from tbx_keras.backends.numpy.kernels import float_bits_histogram
from tbx_keras.values import Histogram
from tbx_keras.writers.encode import Place, encode
from tbx_keras.writers.fast_encode import histogram_event, scalar_event, scalars_event


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


@given(
    scalars=st.lists(st.tuples(st.text(min_size=1), st.floats(width=32, allow_nan=False))),
    step=st.integers(-(2**63), 2**63 - 1),
)
def test_scalars_of_one_step_are_packed_as_the_proto_would(scalars, step):
    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars]
    proto = Event(wall_time=3.0, step=step, summary=Summary(value=values))
    assert Event.FromString(scalars_event(scalars, step, 3.0)) == proto


@pytest.mark.parametrize(
    ("value", "expected"), [(1e300, math.inf), (-1e300, -math.inf), (math.inf, math.inf)]
)
def test_a_number_beyond_float32_is_infinite(value, expected):
    assert Event.FromString(scalar_event("t", value, 0, 0.0)).summary.value[0].simple_value == expected


def test_nan_stays_nan():
    assert math.isnan(Event.FromString(scalar_event("t", math.nan, 0, 0.0)).summary.value[0].simple_value)


def test_a_histogram_keeps_its_edges_and_drops_runs_of_empty_buckets():
    histogram = Histogram("t", np.arange(8.0), np.array([1, 0, 0, 0, 0, 2, 3]), 0.0, 7.0, 6, 1.0, 1.0)
    proto = Event.FromString(encode(histogram, Place(1, 0.0, str))).summary.value[0].histo
    assert list(proto.bucket_limit) == [0, 1, 5, 6, 7]
    assert list(proto.bucket) == [0, 1, 0, 2, 3]


def test_steps_of_numpy():
    assert scalar_event("a", 1.0, np.int64(7), 3.0) == scalar_event("a", 1.0, 7, 3.0)
    assert scalar_event("a", 1.0, np.int32(-1), 3.0) == scalar_event("a", 1.0, -1, 3.0)


@given(
    tag=st.text(min_size=1),
    values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1),
    step=st.integers(-(2**63), 2**63 - 1),
)
def test_a_histogram_is_packed_as_the_proto_would(tag, values, step):
    histogram = float_bits_histogram(tag, np.array(values, "float32"))
    event = Event.FromString(histogram_event(tag, histogram, step, 3.0))
    found = event.summary.value[0].histo
    proto = HistogramProto(
        min=histogram.min,
        max=histogram.max,
        num=histogram.num,
        sum=histogram.sum,
        sum_squares=histogram.sum_squares,
        bucket_limit=found.bucket_limit,
        bucket=found.bucket,
    )
    assert event == Event(
        wall_time=3.0, step=step, summary=Summary(value=[Summary.Value(tag=tag, histo=proto)])
    )
    assert set(found.bucket_limit) <= set(histogram.edges.tolist())
    assert [found.bucket_limit[0], found.bucket_limit[-1]] == [histogram.edges[0], histogram.edges[-1]]
    assert [count for count in found.bucket if count] == [count for count in histogram.counts if count]
