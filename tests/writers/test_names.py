import os

from hypothesis import given
from hypothesis import strategies as st

from tbx_keras.writers.names import MAX_TAG, Tags, event_file_name, run_directory


@given(st.lists(st.text(max_size=20)))
def test_different_tags_stay_different(raw):
    tags = Tags()
    clean = [tags(one) for one in raw]
    assert len(set(clean)) == len(set(raw))
    assert clean == [tags(one) for one in raw]


@given(st.text())
def test_a_tag_is_never_empty_nor_long(raw):
    assert 0 < len(Tags()(raw)) <= MAX_TAG + 20


def test_long_tags_that_differ_at_their_end_stay_different():
    tags = Tags()
    assert tags("a" * 10_000 + "x") != tags("a" * 10_000 + "y")


def test_ordinary_tags_are_left_alone():
    assert Tags()("weights/block_1/dense:kernel größe") == "weights/block_1/dense:kernel größe"


@given(st.text(alphabet="./\\ab\0", max_size=12))
def test_a_run_stays_below_the_log_directory(run):
    path = os.path.normpath(run_directory("/logs/here", run))
    assert path == "/logs/here" or path.startswith("/logs/here/")


def test_file_names_differ_and_sort_by_age():
    names = [event_file_name() for _ in range(20)]
    assert names == sorted(set(names))
