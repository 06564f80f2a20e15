"""A device's own page: what it covered, and what nobody reported in between."""

import re
import urllib.request
from datetime import timedelta

import pytest
from parts.central import register
from parts.devices import MORNING, LogWriter

from renzheng.central.ingest.service import Ingest, Message
from renzheng.contracts import keys
from renzheng.contracts.events import CoverageState, utc_now

pytestmark = pytest.mark.mosquitto
HOUR = timedelta(hours=1)


@pytest.fixture
def rows(central):
    """The stretches that the page of a device shows, after four hours of which one is missing."""
    writer = register(central.database, LogWriter())
    writer.covered(MORNING, MORNING + HOUR)
    writer.covered(MORNING + HOUR, MORNING + 2 * HOUR, CoverageState.DOWN)
    writer.covered(MORNING + 3 * HOUR, MORNING + 4 * HOUR)
    batches = [Message("renzheng/v1/s1/kiosk-1/up/log", batch) for batch in writer.batches()]
    Ingest(central.database, keys.generate_key(), utc_now).take(batches)

    def read(language):
        with urllib.request.urlopen(f"{central.url}/devices/kiosk-1?lang={language}") as answer:
            page = answer.read().decode()
        cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr><td>.*?</tr>", page)]
        return [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in cells if len(row) == 5]

    return read


def test_time_that_nobody_reported_stands_between_the_stretches(rows):
    shown = rows("en")
    assert [(row[0], row[1], row[2]) for row in shown] == [
        ("up", "03-02 11:00", "03-02 12:00"),
        ("not reported", "03-02 10:00", "03-02 11:00"),
        ("down", "03-02 09:00", "03-02 10:00"),
        ("up", "03-02 08:00", "03-02 09:00"),
    ]
    assert shown[1][3:] == ["—", "—"]
    assert shown[0][4] != "—"


def test_it_is_said_in_chinese_too(rows):
    assert rows("zh")[1][0] == "无记录"
