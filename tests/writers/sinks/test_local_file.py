import errno
import os
import shutil

import pytest
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

from tbx_keras.writers.fast_encode import scalar_event
from tbx_keras.writers.sinks.local_file import LocalFile


def read(directory):
    """Steps in all files, each read to its end by TensorBoard's loader."""
    files = sorted(os.path.join(directory, name) for name in os.listdir(directory))
    return [
        event.step
        for file in files
        for event in LegacyEventFileLoader(file).Load()
        if event.HasField("summary")
    ]


def append(file, *steps):
    for step in steps:
        file.append(scalar_event("s", 1.0, step, 0.0))


def test_whole_records_are_written(tmp_path):
    file = LocalFile(str(tmp_path))
    append(file, 1, 2)
    assert file.flush()[0] == 2
    file.close()
    assert read(tmp_path) == [1, 2]


@pytest.mark.parametrize("written", [0, 1, 30, 70])
def test_a_write_that_fails_half_way_leaves_no_torn_record(tmp_path, monkeypatch, written):
    file, real = LocalFile(str(tmp_path)), os.write
    append(file, 1)
    file.flush()

    def fill_up(descriptor, data):
        if written and len(data) > written:
            real(descriptor, bytes(data[:written]))
        raise OSError(errno.ENOSPC, "No space left on device")

    append(file, 2, 3)
    monkeypatch.setattr(os, "write", fill_up)
    with pytest.raises(OSError, match="No space"):
        file.flush()
    assert file.buffered_values == 2
    assert read(tmp_path) == [1]
    monkeypatch.setattr(os, "write", real)
    append(file, 4)
    assert file.flush()[0] == 3
    file.close()
    assert read(tmp_path) == [1, 2, 3, 4]


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    file, real = LocalFile(str(tmp_path)), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:7])))
    append(file, 1, 2)
    file.flush()
    file.close()
    assert read(tmp_path) == [1, 2]


def test_after_its_directory_was_removed_a_new_file_is_begun(tmp_path):
    file = LocalFile(str(tmp_path / "run"))
    append(file, 1)
    file.flush()
    shutil.rmtree(tmp_path / "run")
    append(file, 2)
    file.flush()
    file.close()
    assert read(tmp_path / "run") == [2]


def test_after_its_descriptor_was_closed_a_new_file_is_begun(tmp_path):
    file = LocalFile(str(tmp_path))
    append(file, 1)
    file.flush()
    os.close(file._descriptor)
    append(file, 2)
    file.flush()
    file.close()
    assert read(tmp_path) == [1, 2]
