"""The log of a script: to standard error, never in its way, and with every secret hidden."""

import logging
import os
import select
import sys
from contextlib import suppress

from .explaining import causes
from .redaction import redact

FORMAT = "%(levelname)s - %(message)s"
LONGEST_LINE = 1000  # letters
MOST_LINES = 200  # of a record
PIPE_TAKES = 4000  # bytes; a pipe with any room takes 4 KiB without waiting


def set_up_logging(verbose: bool, formatter: logging.Formatter | None = None) -> None:
    """Log to standard error, from INFO on; the SDK's own log from WARNING on, unless `verbose`."""
    logging.raiseExceptions = False  # or a faulty log call would be quoted, secrets and all
    handler = NeverBlockingHandler()
    handler.setFormatter(RedactingFormatter(formatter))
    logging.basicConfig(handlers=[handler], level="DEBUG" if verbose else "INFO")
    if not verbose:
        logging.getLogger("temporalio").setLevel("WARNING")
        for own in ("workflow", "activity"):  # what the owner's code logs through the SDK
            logging.getLogger(f"temporalio.{own}").setLevel("INFO")


class NeverBlockingHandler(logging.Handler):
    """Drops lines while the pipe is full, so that its reader cannot block the event loop."""

    dropped = 0
    encoding = getattr(sys.stderr, "encoding", "utf-8")  # ASCII has no ✓

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record to standard error, line by line."""
        try:
            formatted = self.format(record)
        except Exception as problem:  # a faulty log call must not fail the code that made it
            formatted = redact(f"{record.levelname} - {record.msg} ({problem})")
        for line in formatted.split("\n"):
            if os.name == "posix" and not select.select([], [2], [], 0)[1]:
                self.dropped += 1
                continue
            dropped, self.dropped = self.dropped, 0
            text = f"({dropped} lines dropped) {line}" if dropped else line
            with suppress(OSError):  # its reader is gone, or the disk is full
                os.write(2, text.encode(self.encoding, "backslashreplace")[:PIPE_TAKES] + b"\n")


class RedactingFormatter(logging.Formatter):
    """Formats by another formatter, then hides secrets, and bounds lines and tracebacks."""

    def __init__(self, formatter: logging.Formatter | None = None) -> None:
        super().__init__()
        self.formatter = formatter or logging.Formatter(FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """The record's lines; a traceback's are indented, so that none looks like a record."""
        text = self.formatter.format(record)
        if record.exc_info:
            chain = list(causes(record.exc_info[1]))
            if len(chain) > 1:  # people read the last line of a traceback
                text += "\n" + "; because of ".join(chain)
            text = text.replace("\n", "\n  ")
        lines = text.split("\n")
        if len(lines) > MOST_LINES:
            lines[MOST_LINES // 2 : -MOST_LINES // 2] = ["[cut]"]
        return "\n".join(redact(line, LONGEST_LINE) for line in lines)
