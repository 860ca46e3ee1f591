"""Object stores: real servers, an outage, and credentials that nobody sees."""

import time
import warnings

import keras
import pytest

from tbx_keras import SummaryWriter, TbxLogger
from tbx_keras.errors import LogDirError
from tests import zoo
from tests.processes import run_python
from tests.reading import accumulate, scalar
from tests.stores import SECRET, fetched, gs_bucket, s3_bucket

OUTAGE = 30.0  # seconds


def fit(log_dir: str) -> TbxLogger:
    model = zoo.sequential(keras)
    model.compile("adam", "mse")
    logger = TbxLogger(log_dir, update_freq=2)
    model.fit(*zoo.batch(), epochs=3, batch_size=8, validation_split=0.25, verbose=0, callbacks=[logger])
    return logger


def check_run(directory: str) -> None:
    assert set(scalar(accumulate(directory, "train"), "epoch_loss")) == {0, 1, 2}
    assert set(scalar(accumulate(directory, "validation"), "epoch_loss")) == {0, 1, 2}
    assert accumulate(directory, "train").Tags()["histograms"]


@pytest.mark.slow
def test_a_run_in_s3(monkeypatch, tmp_path):
    with s3_bucket(monkeypatch):
        logger = fit("s3://logs/some/run")
        check_run(fetched("s3://logs/some/run", tmp_path / "copy"))
    assert logger.report.errors == logger.report.dropped == 0


@pytest.mark.slow
def test_a_run_in_gs(monkeypatch, tmp_path):
    with gs_bucket(monkeypatch):
        logger = fit("gs://logs/some/run")
        check_run(fetched("gs://logs/some/run", tmp_path / "copy"))
    assert logger.report.errors == logger.report.dropped == 0


@pytest.mark.slow
def test_an_outage_of_30_seconds_loses_nothing(monkeypatch, tmp_path):
    with s3_bucket(monkeypatch) as server, warnings.catch_warnings(record=True) as reported:
        warnings.simplefilter("always")
        writer = SummaryWriter("s3://logs/outage")
        writer.add_scalar("loss", 0.0, 0)
        assert writer.flush()
        server.stop()
        began = time.monotonic()
        step = 0
        slowest = 0.0
        while time.monotonic() - began < OUTAGE:
            step += 1
            start = time.monotonic()
            writer.add_scalar("loss", float(step), step)
            slowest = max(slowest, time.monotonic() - start)
            if step == 10:
                assert not writer.flush(1.0)
            time.sleep(0.02)
        server.start()
        deadline = time.monotonic() + 60
        while not writer.flush() and time.monotonic() < deadline:
            time.sleep(0.5)
        writer.close()
        found = scalar(accumulate(fetched("s3://logs/outage", tmp_path / "copy")), "loss")
    assert found == {one: float(one) for one in range(step + 1)}
    assert slowest < 1.0
    assert len([one for one in reported if "training goes on" in str(one.message)]) == 1
    assert not [one for one in reported if SECRET in str(one.message)]


@pytest.mark.slow
def test_credentials_are_in_no_message_and_no_file(monkeypatch, tmp_path):
    with s3_bucket(monkeypatch):
        with pytest.raises(LogDirError) as refused:
            fit("s3://no-such-bucket/run")
        fit("s3://logs/run")
        directory = fetched("s3://logs/run", tmp_path / "copy")
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None
    files = [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]
    assert files, directory
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_credentials_of_a_url_are_hidden(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    from tbx_keras.error_reporting import redacted

    text = redacted(f"ftp://me:word@host/x refused {SECRET}")
    assert text == "ftp://***@host/x refused ***"


LEFT_OPEN = """
import sys
from tbx_keras import SummaryWriter
writer = SummaryWriter("s3://logs/open")
for step in range(5):
    writer.add_scalar("loss", 1.0, step)
sys.exit(7)
"""


@pytest.mark.slow
@pytest.mark.parametrize("answers", [True, False], ids=["reachable", "unreachable"])
def test_a_writer_open_at_exit(answers, monkeypatch, tmp_path):
    with s3_bucket(monkeypatch) as server:
        # A name, not a number: at exit, names are resolved only while there still are threads.
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address.replace("127.0.0.1", "localhost"))
        if not answers:
            server.stop()
        start = time.monotonic()
        done = run_python("-c", LEFT_OPEN)
        assert time.monotonic() - start < 20
        assert done.returncode == 7
        assert SECRET not in done.stderr
        if answers:
            assert not done.stderr
            found = scalar(accumulate(fetched("s3://logs/open", tmp_path / "copy")), "loss")
            assert set(found) == set(range(5))
        else:
            assert "5 values could not be written to 's3://logs/open' in time" in done.stderr
