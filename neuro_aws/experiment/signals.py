"""Ctrl-C and SIGTERM while a run is under way: what was started hears them, its workers do not."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def held_back(number: signal.Signals) -> Iterator[None]:
    """Hold a signal back here, and in processes that start meanwhile until they let it through.

    What multiprocessing starts for itself with the first worker (its resource tracker) lets SIGINT
    through again: make events and queues before.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:  # a handler that waits may raise as soon as the mask has changed
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class StopOnSignal:
    """Turns Ctrl-C (and SIGTERM) into an event while a run is under way."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.since = 0.0

    def __enter__(self) -> threading.Event:
        self._old: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._stop)
        return self.event

    def _stop(self, number: int, frame: object) -> None:
        if self.event.is_set() and time.monotonic() - self.since > 1:
            raise KeyboardInterrupt
        self.since = time.monotonic()
        self.event.set()

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
