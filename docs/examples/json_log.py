"""A log of one JSON object a line."""

import json
import logging


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z")
        parts = {"time": time, "level": record.levelname, "message": super().format(record)}
        return json.dumps(parts)
