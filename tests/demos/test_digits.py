"""The pictures are real, and none is in both parts."""

import numpy as np
import pytest

from tbx_keras.demos.digits import build_model, load_digits


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_shapes_and_ranges(digits):
    assert digits.x_train.shape == (4000, 28, 28, 1)
    assert digits.x_val.shape == (1000, 28, 28, 1)
    assert digits.x_train.dtype == np.float32
    assert digits.x_train.min() == 0.0
    assert digits.x_train.max() == 1.0
    assert digits.y_train.shape == (4000,)


def test_every_digit_is_in_both_parts(digits):
    for labels in (digits.y_train, digits.y_val):
        assert set(labels.tolist()) == set(range(10))
        assert np.bincount(labels).min() > 60


def test_no_picture_is_in_both_parts(digits):
    trained = {picture.tobytes() for picture in digits.x_train}
    assert not [1 for picture in digits.x_val if picture.tobytes() in trained]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_parts():
    one, other, another = load_digits(100), load_digits(100), load_digits(100, seed=1)
    assert np.array_equal(one.y_val, other.y_val)
    assert not np.array_equal(one.y_val, another.y_val)


def test_the_model_takes_the_pictures_and_gives_probabilities(digits):
    model = build_model()
    given = model.predict(digits.x_val[:7], verbose=0)
    assert given.shape == (7, 10)
    assert np.allclose(given.sum(axis=1), 1.0, atol=1e-5)
    assert 30_000 < model.count_params() < 60_000
