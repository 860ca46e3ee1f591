"""What a report looks like, in a console and in a notebook."""

import re

import keras

from tbx_keras import TbxLogger
from tbx_keras.run_report import Report, size
from tests import zoo

REPORT = Report(1234567, 3, 7_654_321, 1, 1.23456789, 0.0123456, 2.3456789, "runs/<a>")


def test_the_text_is_rounded_and_names_the_directory():
    assert repr(REPORT) == (
        "<tbx_keras report of 'runs/<a>': values written 1,234,567, size 7.7 MB, dropped 3, errors 1, "
        "recording took 1.2% of the time, first-time work 2.3 s>"
    )


def test_the_table_is_escaped():
    text = REPORT._repr_html_()
    assert "<caption>tbx_keras: runs/&lt;a&gt;</caption>" in text
    assert "<tr><th>values written</th><td>1,234,567</td></tr>" in text
    assert text.count("<tr>") == text.count("</tr>") == 6


def test_sizes():
    assert [size(count) for count in (0, 999, 1500, 2_000_000, 3_100_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "2.0 MB",
        "3.1 GB",
    ]


def test_a_short_fit_ends_calmly(tmp_path, capsys):
    model, (x, y) = zoo.sequential(keras), zoo.batch(32)
    model.compile("sgd", "mse")
    logger = TbxLogger(tmp_path)
    model.fit(x, y, epochs=2, batch_size=8, verbose=2, callbacks=[logger])
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("tbx_keras: ")]
    report = logger.report
    assert f"{report.written:,} values ({size(report.bytes)}) in {tmp_path}; " in line
    assert "dropped" not in line
    assert not report.steady
    assert report.first_time_seconds > report.overhead_seconds > 0
    assert re.search(
        r"; recording took [\d.]+(% of the time| s), and [\d.]+ s once for first-time work", line
    )
