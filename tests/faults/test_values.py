"""Every kind of value is recorded rightly, or refused with its tag; `fit` goes on in any case."""

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from tbx_keras import SummaryWriter, summary
from tbx_keras.errors import TbxError
from tests.reading import accumulate

TINY = np.float32(1e-42)  # denormal
RECORDED = {
    "NaN among others": (np.array([1.0, np.nan, 2.0]), 2),
    "infinities": (np.array([1.0, np.inf, -np.inf]), 1),
    "all NaN": (np.full(3, np.nan), 0),
    "empty": (np.zeros((0, 3)), 0),
    "1e30": (np.array([1e30, -1e30, 1.0]), 3),
    "denormal": (np.array([TINY, -TINY]), 2),
    "int64": (np.array([2**62, -(2**62), 0]), 3),
    "uint8": (np.arange(5, dtype=np.uint8), 5),
    "bool": (np.array([True, False, True]), 3),
    "bfloat16": (np.arange(4).astype(ml_dtypes.bfloat16), 4),
    "float8": (np.arange(4).astype(ml_dtypes.float8_e4m3fn), 4),
    "float16": (np.arange(4).astype(np.float16), 4),
    "0-d": (np.array(3.0), 1),
    "list": ([1, 2.5, True], 3),
    "tensor": (tf.constant([1.0, 2.0]), 2),
    "bfloat16 tensor": (tf.cast([1.0, 2.0], tf.bfloat16), 2),
    "ragged": (tf.ragged.constant([[1.0], [2.0, 3.0]]), 3),
    "sparse": (tf.sparse.from_dense([0.0, 4.0, 5.0]), 2),
    "variable": (tf.Variable([1.0, 2.0]), 2),
    "float64 beyond float32": (np.array([1e300, 1.0]), 2),
}
REFUSED = {
    "complex": np.array([1j]),
    "strings": np.array(["a", "b"]),
    "objects": np.array([object()], dtype=object),
    "string tensor": tf.constant(["a"]),
    "None": None,
    "inhomogeneous": [[1], [1, 2]],
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded(name, tmp_path):
    data, number = RECORDED[name]
    with SummaryWriter(tmp_path) as writer, writer.as_default(step=0):
        writer.add_histogram("by hand", data, 0)
        summary.histogram("summary", data)
    events = accumulate(tmp_path)
    for tag in ("by hand", "summary"):
        (event,) = events.Histograms(tag)
        assert event.histogram_value.num == number
        assert sum(event.histogram_value.bucket) == pytest.approx(number)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_tag(name, tmp_path):
    with SummaryWriter(tmp_path) as writer, writer.as_default(step=0):
        with pytest.raises(TbxError, match="the tag"):
            writer.add_histogram("the tag", REFUSED[name], 0)
        with pytest.raises(TbxError, match="the tag"):
            summary.histogram("the tag", REFUSED[name])
        writer.add_scalar("after", 1.0, 0)
    assert accumulate(tmp_path).Scalars("after")


@pytest.mark.slow
def test_two_gigabytes(tmp_path):
    """A view of one number: the array is large, the memory is not."""
    data = np.broadcast_to(np.float32(2.0), (1 << 29,))
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("large", data, 0)
    histogram = accumulate(tmp_path).Histograms("large")[0].histogram_value
    assert histogram.num == 1 << 29
    assert histogram.min == histogram.max == 2.0
    assert histogram.sum == float(1 << 30)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, TINY, True, 2**62, np.float16(1.5)])
def test_scalars(value, tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", value, 0)
    found = accumulate(tmp_path).Scalars("a")[0].value
    with np.errstate(over="ignore"):
        assert np.array_equal(np.float32(found), np.float32(value), equal_nan=True)


@pytest.mark.parametrize(
    "tag", ["ä/ö ü", "a b", "a:0", "../../x", "/leading", "x" * 10_000, "\0nul", "new\nline", "日本"]
)
def test_tags(tag, tmp_path):
    with SummaryWriter(tmp_path / "logs") as writer:
        writer.add_scalar(tag, 1.0, 0)
        writer.add_scalar(tag + "!", 2.0, 0)
    events = accumulate(tmp_path, "logs")
    assert sorted(events.Scalars(one)[0].value for one in events.Tags()["scalars"]) == [1.0, 2.0]
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]
