"""A log handler that never holds anybody up: a thread of its own writes to standard error."""

import copy
import logging
import os
import queue
import select
import sys
import threading
from contextlib import suppress
from logging.handlers import QueueHandler, QueueListener
from typing import Any

from .redaction import hide_secrets

MOST_WAITING = 10_000  # records; beyond that they are dropped, counted and told
LONGEST_MESSAGE = 65_536  # characters
DRAIN_SECONDS = 1.0


class NeverBlockingHandler(QueueHandler):
    """Puts records into a queue that a thread empties: a full pipe blocks that thread alone.

    The queue is a `SimpleQueue`, whose `put` may interrupt itself, as in a signal handler. A
    process that this one forks has no such thread, and writes for itself.
    """

    def __init__(self) -> None:
        self._records: queue.SimpleQueue[Any] = queue.SimpleQueue()
        super().__init__(self._records)
        self._dropped = 0
        self._process: int | None = os.getpid()
        self._writer = Writer(self._records, self)
        try:
            self._writer.start()
        except RuntimeError:  # no further thread can be started: each caller writes for itself
            self._process = None

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record with its message complete, shortened if it is very long.

        It is formatted later, when its arguments may have changed. The exception stays on it, for
        formatters that want it.
        """
        prepared = copy.copy(record)
        prepared.__class__ = logging.LogRecord  # one of the owner's may put messages together anew
        prepared.msg, prepared.args = _shortened(record.getMessage()), None
        if prepared.exc_text:
            prepared.exc_text = _shortened(prepared.exc_text)
        return prepared

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put the record into the queue, or count it if too many wait there."""
        if self._process != os.getpid() or sys.is_finalizing():  # there is no such thread
            self._writer.handle(record)
        elif self._records.qsize() >= MOST_WAITING:
            self._dropped += 1
        else:
            self._tell_of_dropped()
            self._records.put(record)

    def _tell_of_dropped(self) -> None:
        """Put a record into the queue that says how many were dropped, if any were."""
        if self._dropped:
            count, self._dropped = self._dropped, 0
            text = f"{count} log records dropped: standard error is not read fast enough"
            self._records.put(
                logging.LogRecord("temporal_kit", logging.WARNING, "", 0, text, None, None)
            )

    def flush(self) -> None:
        """Wait until all that waits is written, for 1 s at the most."""
        if self._process == os.getpid() and not sys.is_finalizing():
            self._tell_of_dropped()
            written = threading.Event()
            self._records.put(written)
            written.wait(DRAIN_SECONDS)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Nothing is printed of a log call that fails: that would quote what it was given."""


class Writer(QueueListener):
    """Formats the records of a queue and writes them, without a lock that others wait for."""

    def __init__(self, records: "queue.SimpleQueue[Any]", handler: logging.Handler) -> None:
        super().__init__(records)
        self._handler = handler
        self._encoding = getattr(sys.stderr, "encoding", None) or "utf-8"  # ASCII has no ✓

    def handle(self, record: Any) -> None:
        """Write a record; an event in its place is set, to say that all before it is written."""
        if isinstance(record, threading.Event):
            record.set()
            return
        try:
            data = self._handler.format(record).encode(self._encoding, "backslashreplace")
        except Exception as problem:  # the owner's formatter has failed
            why = f"the formatter failed: {_without_secrets(problem)}"
            text = f"{record.levelname} - {record.msg} ({why})"
            data = text.encode(self._encoding, "backslashreplace")
        with suppress(OSError, ValueError):  # its reader is gone, or the disk is full
            _write(data + b"\n")


def _write(data: bytes) -> None:
    """Write all of it to standard error, however long that takes."""
    while data:
        try:
            data = data[os.write(2, data) :]
        except BlockingIOError:  # whoever started us has set it so
            select.select([], [2], [])


def _without_secrets(problem: Exception) -> str:
    """An error as Python shows it, secrets hidden; its name, if it cannot be shown."""
    try:
        return hide_secrets(repr(problem))
    except Exception:
        return type(problem).__name__


def _shortened(text: str) -> str:
    """The text, or its beginning and end if it is very long, secrets hidden before the cut."""
    half = LONGEST_MESSAGE // 2
    if len(text) <= LONGEST_MESSAGE:
        return text
    hidden = hide_secrets(text)
    return f"{hidden[:half]} [cut] {hidden[-half:]}"
