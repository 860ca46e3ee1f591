"""What is frozen does not train, and nothing else is."""

import pytest

from tbx_keras.demos.freezing import freeze
from tbx_keras.errors import ArgumentError


@pytest.fixture(params=["bert", "distilbert"])
def model(request):
    import transformers

    if request.param == "bert":
        config = transformers.BertConfig(30, 8, 3, 2, 16, max_position_embeddings=8)
        return built(transformers.TFBertForSequenceClassification(config))
    config = transformers.DistilBertConfig(30, 8, n_layers=3, n_heads=2, dim=8, hidden_dim=16)
    return built(transformers.TFDistilBertForSequenceClassification(config))


def built(model):
    model(model.dummy_inputs)
    return model


def parts(model) -> set[str]:
    """`embeddings`, `0`, `1`, `2` or `head`: where trainable weights are."""
    names = [weight.name for weight in model.trainable_weights]
    return {part_of(name) for name in names}


def part_of(name: str) -> str:
    if "layer_._" in name:
        return name.split("layer_._")[1][0]
    return "embeddings" if "embeddings" in name else "head" if "classifier" in name else "other"


@pytest.mark.parametrize(
    ("what", "trains"),
    [
        ("none", {"embeddings", "0", "1", "2"}),
        ("embeddings", {"0", "1", "2"}),
        ("all-but-last-1", {"2"}),
        ("all-but-last-3", {"0", "1", "2"}),
        ("all-but-head", set()),
    ],
)
def test_only_what_is_named_is_frozen(model, what, trains):
    freeze(model, what)
    assert parts(model) - {"other"} == trains | {"head"}


@pytest.mark.parametrize("what", ["all-but-last-0", "all-but-last-4", "all-but-last-", "head", "", "Nothing"])
def test_other_words_are_refused(model, what):
    with pytest.raises(ArgumentError, match="`freeze` is wrong"):
        freeze(model, what)
