"""Rules of a user's own, whatever is wrong with them, cost no value and are named."""

import threading
import warnings

import pytest

from tbx_keras.diagnosis.base import Evidence, Finding, register, unregister
from tbx_keras.diagnosis.monitor import Monitor
from tbx_keras.error_reporting import ErrorReporter
from tbx_keras.errors import ArgumentError
from tbx_keras.values import Scalar

FOUND = Finding("odd", "info", (), "train", 1, 0, "Seen.", "Look at it.")


class Writer:
    def __init__(self):
        self.batches = []

    def submit(self, batch):
        self.batches.append(batch)


def monitor(*rules):
    writer, reporter = Writer(), ErrorReporter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = Monitor(writer, reporter, {}, rules or None)
    return made, writer, [str(one.message) for one in said]


def rule(check, **members):
    return type("Odd", (), {"name": "odd", "check": lambda self, evidence: check(evidence), **members})()


def evidence(source="metrics"):
    return Evidence(source, "train", 1, 0, (Scalar("a", 1.0),))


@pytest.mark.parametrize("sources", [5, [[]]])
def test_sources_that_are_none_are_said_and_the_rule_is_left_out(sources):
    made, _, said = monitor(rule(lambda evidence: [], sources=sources))
    assert len(said) == 1
    assert "the sources of the rule 'odd'" in said[0]
    assert not made.looks_at("metrics")


def test_one_source_as_a_string_is_that_source_alone():
    made, _, said = monitor(rule(lambda evidence: [], sources="gradients"))
    assert made.looks_at("gradients")
    assert not made.looks_at("gradient")
    assert said == []


@pytest.mark.parametrize(("found", "count"), [(None, 0), (FOUND, 1), ([FOUND, FOUND], 2), ([], 0)])
def test_whatever_a_check_returns(found, count):
    made, writer, _ = monitor(rule(lambda evidence: found))
    made.observe(evidence())
    assert len(writer.batches) == count


def test_evidence_cannot_be_taken_away():
    made, writer, _ = monitor(rule(lambda evidence: evidence.values.clear()))
    with pytest.warns(RuntimeWarning, match="checking the rule 'odd' failed"):
        made.observe(evidence())


def test_an_exit_in_a_rule_on_another_thread_is_an_error_of_the_rule():
    made, _, _ = monitor(rule(lambda evidence: (_ for _ in ()).throw(SystemExit(3))))
    raised = []

    def observe():
        try:
            made.observe(evidence())
        except BaseException as error:
            raised.append(error)

    with pytest.warns(RuntimeWarning, match="checking the rule 'odd' failed"):
        thread = threading.Thread(target=observe)
        thread.start()
        thread.join()
    assert raised == []
    with pytest.raises(SystemExit):  # as Ctrl-C on the thread that trains
        made.observe(evidence())


class WithArgument:
    name = "with_argument"

    def __init__(self, number):
        self.number = number

    def check(self, evidence):
        return []


def test_a_rule_that_cannot_be_made_is_said():
    register(WithArgument)
    try:
        made, _, said = monitor()
    finally:
        unregister("with_argument")
    assert len(said) == 1
    assert "making the rule 'with_argument'" in said[0]
    assert made.looks_at("loss")


@pytest.mark.parametrize(
    "wrong", [type("NoName", (), {"check": print}), type("NoCheck", (), {"name": "a"}), 5]
)
def test_what_is_no_rule_is_refused_at_once(wrong):
    with pytest.raises(ArgumentError, match="`rule` is wrong"):
        register(wrong)
