"""Ordering of training steps whose hooks run in any order.

Where a Keras backend is safe for threads (JAX, PyTorch), Keras hands `on_train_batch_end` to a pool of
threads when all callbacks are `async_safe`: the hooks of several steps run at the same time and in any order.
`on_train_batch_begin` it calls on the training thread.

Guarantees: actions run one at a time. An action waits for those of earlier steps that have begun, and for no
others. No thread waits in a hook of a step: an action that cannot run yet is left to the thread whose hook it
waits for. At most `most` steps are kept; a hook that never comes holds nothing back for longer.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable

MOST = 1 << 14  # steps that Keras may have dispatched ahead of the hooks; a few MB
Action = Callable[[int], None]
Numbers = dict[int, deque[int]]  # steps that have begun, by the number that Keras gives to their end


class StepSequencer:
    """Runs what belongs to the end of a step after what belongs to the steps before it.

    Args:
        most: Steps that are kept at the most: begun without an end, or ended and waiting.

    Example:
    ```python
    from tbx_keras.scheduling.sequencer import StepSequencer

    steps, sequencer = [], StepSequencer()
    for number in range(3):
        sequencer.begin(number, number + 1)
    for number in (2, 0, 1):
        sequencer.end(number, number + 1, steps.append)
    assert steps == [1, 2, 3]
    ```
    """

    def __init__(self, most: int = MOST) -> None:
        self.last = 0  # the last step that began
        self.ran = 0  # the last one that was made for certain: another one began after it
        self._most = most
        self._lock = threading.Lock()
        self._running = False
        self._arrivals = itertools.count()
        self._waiting: list[tuple[int, int, Action]] = []  # heap: step, arrival, action
        self._left_over: Numbers = {}
        self._forget_begun()

    def _forget_begun(self) -> None:
        self._begun: dict[int, int] = {}  # step: number of its end
        self._order: list[int] = []  # heap of the steps in `_begun`, and of some that have ended
        self._numbers: Numbers = {}

    def begin(self, number: int, step: int) -> None:
        """Note that a step begins.

        Args:
            number: Keras's batch number in the hook that will end the step.
            step: Global step, which the action gets.
        """
        with self._lock:
            if step > self.last:
                self.ran, self.last = self.last, step
            self._left_over.pop(number, None)  # of a `fit` that failed: from here on it is this step's number
            if step not in self._begun:
                self._begun[step] = number
                self._numbers.setdefault(number, deque()).append(step)
                heapq.heappush(self._order, step)
            if len(self._begun) > self._most:
                self._finish(self._earliest())

    def end(self, number: int, otherwise: int, action: Action) -> None:
        """Run an action once the steps before have ended.

        Args:
            number: Keras's batch number in the hook.
            otherwise: Global step if no step with this number has begun.
            action: Called with the global step, perhaps on another thread.
        """
        with self._lock:
            step = self._step_of(number, otherwise)
            heapq.heappush(self._waiting, (step, next(self._arrivals), action))
        self._run()

    def settle(self, timeout: float) -> None:
        """Wait for the hooks of steps that were made, as after a `fit` that failed.

        Args:
            timeout: Seconds to wait at the most.
        """
        deadline = time.monotonic() + timeout
        while self._misses_hooks() and time.monotonic() < deadline:
            time.sleep(0.005)

    def _misses_hooks(self) -> bool:
        with self._lock:
            return any(step <= self.ran for step in self._begun)

    def release(self) -> None:
        """Run all waiting actions in order, without waiting for steps that have begun.

        A hook that comes even later still gets the step that it belongs to.
        """
        with self._lock:
            self._left_over = self._numbers
            self._forget_begun()
        self._run()

    def _run(self) -> None:
        """Run all actions that are due, unless another thread does so already: that one runs these too."""
        with self._lock:
            if self._running:
                return
            self._running = True
        try:
            while (due := self._next()) is not None:
                step, action = due
                action(step)
        except BaseException:
            self._running = False
            raise

    def _next(self) -> tuple[int, Action] | None:
        with self._lock:
            if len(self._waiting) > self._most and self._begun:
                self._finish(self._earliest())  # its hook is lost
            if self._waiting and self._is_due(self._waiting[0][0]):
                step, _, action = heapq.heappop(self._waiting)
                return step, action
            self._running = False  # under the lock: what comes from here on finds nobody at it
            return None

    def _is_due(self, step: int) -> bool:
        return not self._begun or step <= self._earliest()

    def _earliest(self) -> int:
        """Find the first step that has begun and not ended; there is one."""
        while self._order[0] not in self._begun:
            heapq.heappop(self._order)
        return self._order[0]

    def _step_of(self, number: int, otherwise: int) -> int:
        if number in self._left_over:
            step = self._left_over[number][0]
            _remove(self._left_over, number, step)
            return step
        step = self._numbers[number][0] if number in self._numbers else otherwise
        self._finish(step)
        return step

    def _finish(self, step: int) -> None:
        number = self._begun.pop(step, None)
        if number is not None:
            _remove(self._numbers, number, step)
        if not self._begun:
            self._order.clear()


def _remove(numbers: Numbers, number: int, step: int) -> None:
    numbers[number].remove(step)
    if not numbers[number]:
        del numbers[number]
