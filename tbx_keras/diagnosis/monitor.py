"""Rules at work during training.

Guarantees: rules run one at a time, on whichever thread has the evidence. What they find is recorded, and
warned of once for each rule and place. An error in a rule is reported and keeps no other from looking.
Training is stopped by the thread that trains alone: others leave a flag.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from tbx_keras.diagnosis.base import Evidence, Finding, Rule, all_rules
from tbx_keras.error_reporting import ErrorReporter
from tbx_keras.framework_types import Model
from tbx_keras.values import STEP, BatchWriter, RecordBatch, Scalar, Text, Value, as_iterable

ACTIONS = ("record", "warn", "stop")  # each does what those before it do
_NOT_STOPPED = "Training goes on: of several workers none may stop alone, since the others would wait for it."


class Monitor:
    """Shows evidence to all rules, and acts on what they find.

    Args:
        writer: Takes what was found.
        reporter: Reports the errors of rules.
        actions: By name of a rule `"record"`, `"warn"` too, or `"stop"` training as well; others warn.
        rules: The rules; one of each kind if None.
    """

    def __init__(
        self,
        writer: BatchWriter,
        reporter: ErrorReporter,
        actions: Mapping[str, str],
        rules: Sequence[Rule] | None = None,
    ) -> None:
        self._writer, self._reporter, self._actions = writer, reporter, dict(actions)
        self._sources: dict[int, frozenset[str] | None] = {}  # by the identity of a rule
        self._rules = list(filter(self._is_readable, all_rules(reporter.report) if rules is None else rules))
        self._looked_at: dict[str, bool] = {}
        self._lock = threading.Lock()
        self._stops = False  # set on any thread, read on the one that trains
        self.may_stop = True  # not so where other workers would wait for this one
        self._trains_on = threading.get_ident()

    def _is_readable(self, rule: Rule) -> bool:
        try:
            self._sources[id(rule)] = _sources(rule)
        except Exception as error:
            self._reporter.report(f"reading the sources of the rule {rule.name!r}", error)
            return False
        return True

    def _wants(self, rule: Rule, source: str) -> bool:
        """Check whether a rule looks at a source; one without `sources` looks at everything."""
        sources = self._sources[id(rule)]
        return sources is None or source in sources

    def begin_fit(self) -> None:
        """Remember the thread that trains: it alone stops training."""
        self._trains_on, self._stops = threading.get_ident(), False

    def looks_at(self, source: str) -> bool:
        """Check whether any rule looks at the values of a recorder."""
        if source not in self._looked_at:
            self._looked_at[source] = any(self._wants(rule, source) for rule in self._rules)
        return self._looked_at[source]

    def observe(self, evidence: Evidence) -> None:
        """Show a piece of evidence to all rules that want it."""
        for rule in self._rules:
            if self._wants(rule, evidence.source):
                self._apply(rule, evidence)

    def _apply(self, rule: Rule, evidence: Evidence) -> None:
        try:
            with self._lock:
                findings: list[Finding] = list(as_iterable(rule.check(evidence)))
            for finding in findings:
                self._act(finding)
        except BaseException as error:
            # Ctrl-C comes to the thread that trains; on another one nothing but the values would end.
            if not isinstance(error, Exception) and threading.get_ident() == self._trains_on:
                raise
            self._reporter.report(f"checking the rule {rule.name!r}", error)

    def _act(self, finding: Finding) -> None:
        tag = finding.tag or f"findings/{finding.rule}"
        values: list[Value] = [Text(tag, finding.evidence), Scalar(f"{tag}_step", finding.step)]
        self._writer.submit(RecordBatch(finding.run, STEP, finding.step, values, droppable=False))
        action = self._actions.get(finding.rule, "warn")
        if action != "record" and finding.message:
            stopped = f"Training is stopped (on_{finding.rule}='stop')." if self.may_stop else _NOT_STOPPED
            advice = stopped if action == "stop" else finding.advice
            key = f"rule {finding.rule} {finding.where}"
            self._reporter.warn_once(key, f"tbx_keras: {finding.message}. {advice}")
        if action == "stop" and self.may_stop:
            self._stops = True

    def stop_if_asked(self, model: Model) -> None:
        """Stop training where a finding asks for it; do nothing on any thread but the training thread."""
        if self._stops and threading.get_ident() == self._trains_on:
            self._stops = False
            model.stop_training = True


def _sources(rule: Rule) -> frozenset[str] | None:
    """Read the sources that a rule looks at; None for a rule that looks at everything."""
    sources = getattr(rule, "sources", None)
    if sources is None:
        return None
    return frozenset([sources] if isinstance(sources, str) else sources)
