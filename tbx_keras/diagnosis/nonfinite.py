"""The first step at which a loss, a gradient or a weight was not finite.

Guarantees: each of the three is found once. One warning says that a step was not finite, whichever of the
three was seen first; none follows about later steps once a weight is spoilt, for they cannot be anything
else. Keras's loss of a step is the mean over its epoch so far: it is not finite from the first step on whose
own loss is not.
"""

from __future__ import annotations

from collections.abc import Iterator

from tbx_keras.diagnosis.base import Concerned, Evidence, Finding, register
from tbx_keras.keras_model import scales_loss
from tbx_keras.values import Histogram, Scalar

SOURCES = {
    "loss": "The loss of step {step} is {loss}",
    "gradients": "Gradients of step {step} are not finite",
    "weights": "Weights after step {step} are not finite",
}


@register
class NonFiniteRule:
    """Finds NaN and infinities."""

    name = "nonfinite"
    sources = frozenset(SOURCES)

    def __init__(self) -> None:
        self._found: set[str] = set()
        self._warned: set[int] = set()
        self._spoilt: int | None = None  # the first step known to have left a weight that is not finite

    def check(self, evidence: Evidence) -> Iterator[Finding]:
        """Find what is not finite in a loss, in gradients or in weights, each once."""
        kind = evidence.source
        if kind not in SOURCES or kind in self._found:
            return
        concerned = evidence.nonfinite_weights if kind == "loss" else _in_histograms(evidence)
        if kind == "loss" or (concerned and not _is_on_purpose(kind, evidence)):
            self._found.add(kind)
            yield self._finding(kind, evidence, concerned)

    def _finding(self, kind: str, evidence: Evidence, concerned: Concerned | None) -> Finding:
        loss = evidence.values[0].value if kind == "loss" and isinstance(evidence.values[0], Scalar) else 0.0
        sentence = SOURCES[kind].format(step=evidence.step, loss=loss)
        news = self._is_news(kind, evidence.step, concerned)
        return Finding(
            self.name,
            "error",
            tuple(path for path, _ in concerned or ()),
            evidence.run,
            evidence.step,
            evidence.epoch,
            _text(sentence, concerned),
            "Training goes on (on_nonfinite); first_nonfinite/... has the variables concerned.",
            f"first_nonfinite/{kind}",
            f"{sentence}{_first(concerned)}" if news else "",
        )

    def _is_news(self, kind: str, step: int, concerned: Concerned | None) -> bool:
        """Check that a finding is not what another one of this step, or of a spoilt model, has said."""
        follows = step in self._warned or (self._spoilt is not None and step >= self._spoilt)
        self._warned.add(step)
        if concerned and kind != "gradients":
            self._spoilt = step if self._spoilt is None else min(step, self._spoilt)
        return not follows


def _is_on_purpose(kind: str, evidence: Evidence) -> bool:
    """Check whether a loss scale, which overflows now and then on purpose, explains a finding."""
    return kind == "gradients" and scales_loss(evidence.model)


def _in_histograms(evidence: Evidence) -> Concerned:
    if evidence.nonfinite_weights:
        return evidence.nonfinite_weights
    found = [one for one in evidence.values if isinstance(one, Histogram) and one.nonfinite]
    return [(one.tag.split("/", 1)[-1], one.nonfinite) for one in found]


def _text(sentence: str, concerned: Concerned | None) -> str:
    if concerned is None:
        return f"{sentence}. The weights could not be looked at."
    if not concerned:
        return f"{sentence}, while all weights are finite: look at the data of this step and at the loss."
    lines = "\n".join(f"- `{path}`: {count:,} elements" for path, count in concerned)
    return f"{sentence}. NaN or infinite, in the order of the model:\n\n{lines}"


def _first(concerned: Concerned | None) -> str:
    if concerned is None:
        return ""
    return f", first in {concerned[0][0]!r}" if concerned else ", while all weights are finite"
