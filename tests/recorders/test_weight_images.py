import numpy as np
import pytest

from tbx_keras.recorders.weight_images import _image, to_pixels


@pytest.mark.parametrize(
    ("shape", "pictures"),
    [((5,), (1, 1, 5, 1)), ((3, 7), (1, 3, 7, 1)), ((7, 3), (1, 3, 7, 1)), ((2, 3, 4), (4, 2, 3, 1)),
     ((3, 3, 2, 8), (8, 3, 3, 1))],
)  # fmt: skip
def test_shapes(shape, pictures):
    (image,) = _image("t", np.ones(shape))
    assert image.pixels.shape == pictures
    assert image.pixels.dtype == np.uint8


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 2, 2, 2, 2), (3000, 3000)])
def test_what_is_no_picture_is_left_out(shape):
    assert _image("t", np.ones(shape)) == []


def test_scaled_over_the_finite_range():
    pixels = to_pixels(np.array([-1.0, 0.0, 1.0, np.nan, np.inf]))
    assert pixels.tolist() == [0, 127, 255, 0, 0]
