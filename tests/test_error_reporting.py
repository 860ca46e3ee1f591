import logging
import threading
import warnings

import pytest

from tbx_keras.error_reporting import ErrorReporter, reports_errors
from tbx_keras.errors import ArgumentError


class Hooks:
    def __init__(self):
        self.reporter = ErrorReporter()

    @reports_errors("dividing", "Pass something else.")
    def divide(self, by):
        return 1 / by

    @reports_errors("checking", raises=True)
    def check(self, error):
        raise error


def test_a_result_passes_through():
    assert Hooks().divide(2) == 0.5


def test_an_error_is_reported_once_with_the_hint_and_counted_always():
    hooks = Hooks()
    with pytest.warns(
        RuntimeWarning, match="dividing failed.*ZeroDivisionError.*Pass something else"
    ) as reported:
        assert hooks.divide(0) is None
        hooks.divide(0)
    assert len(reported) == 1
    assert hooks.reporter.count == 2


def test_where_warnings_are_errors_the_log_has_it(caplog):
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING, "tbx_keras"):
        warnings.simplefilter("error")
        Hooks().divide(0)
    assert "dividing failed" in caplog.text


def test_errors_meant_for_the_user_pass_only_where_they_may():
    with pytest.raises(ArgumentError):
        Hooks().check(ArgumentError("log_dir", 1, "a path"))
    with pytest.warns(RuntimeWarning):
        Hooks().check(ValueError("not meant for the user"))


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_no_fault(signal):
    with pytest.raises(signal):
        Hooks().check(signal())


def test_time_is_kept():
    hooks = Hooks()
    hooks.divide(1)
    assert hooks.reporter.seconds > 0


def test_threads_count_together():
    hooks = Hooks()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        threads = [threading.Thread(target=lambda: [hooks.divide(0) for _ in range(100)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert hooks.reporter.count == 800
