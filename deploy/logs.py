"""How the processes write their logs: lines for people, or one JSON object a line for machines.

Either way: ids, scores, reasons; never a name, an ID number, an image or a template. What a `RenzhengError`
carries as attributes goes in as fields.
"""

import json
import logging
import os
from datetime import UTC, datetime
from typing import Any

from renzheng.contracts.errors import RenzhengError

VARIABLE = "RENZHENG_LOG"
_PLAIN = "%(asctime)s %(levelname)s %(name)s %(message)s"


class JsonFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; values that JSON does not know are written as text."""
        fields: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": record.getMessage(),
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields["error"] = type(error).__name__
            if isinstance(error, RenzhengError):
                fields |= {"what": error.what, "attributes": error.attributes}
            else:
                fields["trace"] = self.formatException(record.exc_info) if record.exc_info else ""
        return json.dumps(fields, ensure_ascii=False, default=str)


def set_up_logging() -> None:
    """Write to standard error, as JSON when the environment says ``RENZHENG_LOG=json``."""
    handler = logging.StreamHandler()
    as_json = os.environ.get(VARIABLE, "").lower() == "json"
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter(_PLAIN))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
