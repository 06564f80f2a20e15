"""Logs as JSON: one object a line, with an error's facts as fields."""

import json
import logging

from renzheng.contracts.errors import FaultError
from renzheng.deploy.logs import JsonFormatter


def record_of(message, *values, error=None):
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("renzheng.edge.device.log", logging.INFO, __file__, 1, message, values, info)


def test_a_record_is_one_line_of_json():
    written = JsonFormatter().format(record_of("entry %d\n%s", 7, "第二行"))
    fields = json.loads(written)
    assert "\n" not in written
    assert (fields["level"], fields["logger"]) == ("info", "renzheng.edge.device.log")
    assert fields["message"] == "entry 7\n第二行"
    assert fields["at"].endswith("+00:00")


def test_an_errors_attributes_are_fields_and_its_trace_is_not_needed():
    error = FaultError("The store is full.", device_id="kiosk-01", path=object())
    fields = json.loads(JsonFormatter().format(record_of("not recorded", error=error)))
    assert (fields["error"], fields["what"]) == ("FaultError", "The store is full.")
    assert fields["attributes"]["device_id"] == "kiosk-01"
    assert "trace" not in fields


def test_an_unexpected_error_keeps_its_trace():
    fields = json.loads(JsonFormatter().format(record_of("oh", error=ZeroDivisionError("x"))))
    assert "ZeroDivisionError" in fields["trace"]
