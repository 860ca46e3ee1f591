"""Programs of the kind that people publish train with a logger as they do without, and are recorded right."""

from __future__ import annotations

import importlib
import os
import re

import pytest

from tests.wild import harness
from tests.wild.registry import all_programs

EVERYTHING = {"update_freq": "batch", "gradient_freq": 1, "overhead_budget": 1.0}
PROGRAMS = all_programs()


def cases():
    """Every program in graph mode of its first Keras; in every way those that represent their kind, and
    where `TBX_WILD=all` all of them, which takes half an hour. Only programs marked fast, each in one way,
    belong to the fast part of the tests.
    """
    for program in PROGRAMS:
        for k in program.kerases:
            for mode in ["graph", "eager"][: 1 + program.eager]:
                first = k == program.kerases[0] and mode == "graph"
                if first or program.everywhere or os.environ.get("TBX_WILD") == "all":
                    yield pytest.param(
                        program,
                        k,
                        mode == "eager",
                        id=f"{program.name}-{k}-{mode}",
                        marks=marks_of(first and program.fast),
                    )


def marks_of(fast):
    return [] if fast else [pytest.mark.slow]


class Differs(AssertionError):
    """The weights of two runs are not the same bits."""


@pytest.mark.parametrize(("program", "k", "eager"), list(cases()))
def test_trains_alike_and_is_recorded(program, k, eager, tmp_path):
    k = importlib.import_module(k)
    for spare in reversed(range(6 if program.varies else 1)):
        try:
            assert_trains_alike_and_is_recorded(program, k, eager, tmp_path / f"{spare} tries are left")
            break
        except Differs:
            if not spare:
                raise


def assert_trains_alike_and_is_recorded(program, k, eager, directory):
    directory.mkdir()
    alone = harness.run_alone(program, k, eager, directory / "alone")
    assert_ends_as_declared(program, alone)
    truth = harness.run_watched(program, k, eager, directory / "watched")
    assert_same(alone, truth)  # else the program is too random to say anything
    for name, options in ("default", {}), ("everything", EVERYTHING):
        logged = harness.run_logged(program, k, eager, directory / name, **options)
        assert_same(alone, logged)
        assert_says_what_is_declared(program, logged)
        assert_recorded_is_true(program, logged.norms, truth.norms, bool(options))


def assert_ends_as_declared(program, outcome):
    if outcome.error is not None and type(outcome.error) is not program.raises:
        raise outcome.error
    assert (outcome.error is None) is (program.raises is None)


def assert_same(one, other):
    if other.error is not None and one.error is None:
        raise other.error
    assert type(one.error) is type(other.error)
    assert one.weights or one.error, "nothing to compare"
    if differing := harness.differing(one, other):
        raise Differs(f"not the same bits: {differing}")


def assert_says_what_is_declared(program, logged):
    assert logged.errors == 0, logged.warned
    if program.says is None:
        assert not logged.warned
    else:
        assert len(logged.warned) == 1, logged.warned
        assert re.search(program.says, logged.warned[0])


def assert_recorded_is_true(program, recorded, truth, everything):
    """Each norm that was recorded is the one that the optimizer got; with `everything` none is missing."""
    assert truth or not program.captures, "the oracle measured nothing"
    if program.captures:
        assert set(recorded) == set(truth)
    for path, norms in recorded.items():
        if everything and program.captures:
            assert len(norms) == len(truth[path]), path
        expected = truth[path] if program.aligned else renumbered(truth[path], norms)
        assert norms == pytest.approx(
            {step: expected[step] for step in norms}, rel=1e-4, abs=1e-9, nan_ok=True
        ), path


def renumbered(truth, recorded):
    """Where steps count something else than batches, records still come in the order of the batches."""
    if len(truth) != len(recorded):  # only some were sampled: those of the first step of each epoch
        return {step: nearest(truth, value) for step, value in recorded.items()}
    return dict(zip(recorded, truth.values()))


def nearest(truth, value):
    return min(truth.values(), key=lambda norm: abs(norm - value))
