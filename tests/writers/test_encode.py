import pytest
from tensorboardX.proto.event_pb2 import Event

from tbx_keras.errors import ValueRefused
from tbx_keras.values import Text
from tbx_keras.writers.encode import encode


def test_a_value_of_no_known_kind_is_refused():
    with pytest.raises(ValueRefused, match="object"):
        encode(object(), 0, 0.0, str)


def test_a_text_goes_to_the_text_plugin():
    value = Event.FromString(encode(Text("note", "hä"), 1, 0.0, str)).summary.value[0]
    assert value.tag == "note/text_summary"
    assert value.metadata.plugin_data.plugin_name == "text"
