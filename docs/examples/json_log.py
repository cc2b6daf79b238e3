"""A log of one JSON object a line."""

import json
import logging

STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime"}  # the rest is `extra`


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"), "level": record.levelname}
        line |= {"logger": record.name, "message": record.getMessage()}
        for name in vars(record).keys() - STANDARD:
            value = getattr(record, name)  # temporal_workflow, temporal_activity: a table of IDs
            line |= (
                value if name.startswith("temporal_") and isinstance(value, dict) else {name: value}
            )
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
