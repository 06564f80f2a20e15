"""The counter's page and the device say the same things, and every word stands in every catalogue."""

import json
import re

import pytest

from renzheng.contracts.events import COUNTER_PURPOSES, ProxyBasis, Relation
from renzheng.edge.counter import app
from renzheng.edge.counter.calls import Way
from renzheng.edge.look.verdicts import FaceVerdict
from renzheng.models.quality import Guidance

CATALOGUES = {
    file.stem: json.loads(file.read_text(encoding="utf-8")) for file in (app.PAGE / "catalogue").iterdir()
}
SCRIPT = (app.PAGE / "counter.js").read_text(encoding="utf-8")
PAGE = (app.PAGE / "index.html").read_text(encoding="utf-8")
MISSING = ("buyer", "basis", "witness", "terminal_reference", "look", "papers")


def listed(name):
    return tuple(re.findall(r'"([a-z_]+)"', re.search(rf"{name} = (\[[^\]]*\])", SCRIPT).group(1)))


def test_chinese_and_english_say_the_same_things():
    assert set(CATALOGUES) == {"zh", "en"}
    assert set(CATALOGUES["zh"]) == set(CATALOGUES["en"])


@pytest.mark.parametrize("language", CATALOGUES)
def test_no_word_is_missing_or_empty(language):
    words = CATALOGUES[language]
    needed = {f"guidance.{code}" for code in Guidance}
    needed |= {f"relation.{name}" for name in Relation.__args__}
    needed |= {f"basis.{name}" for name in ProxyBasis.__args__ if name != "self"}
    needed |= {f"way.{name}" for name in Way.__args__}
    needed |= {f"verdict.{each.value}" for each in FaceVerdict if each is not FaceVerdict.MATCH}
    needed |= {f"problem.{name}" for name in (*MISSING, "patient", "holder", "device_away", "fault")}
    needed |= {f"problem.{name}" for _, name in app._PROBLEMS.values()}
    needed |= set(re.findall(r'data-say="([^"]+)"', PAGE)) | set(re.findall(r'say\("([^"]+)"', SCRIPT))
    assert not {key for key in needed if not words.get(key)}


def test_the_page_offers_what_the_device_takes():
    assert set(listed("RELATIONS")) == set(Relation.__args__)
    assert {"self", *listed("BASES")} == set(ProxyBasis.__args__)
    assert set(listed("WAYS")) == set(Way.__args__)


def test_a_counter_is_where_somebody_else_may_come():
    assert [purpose.value for purpose in COUNTER_PURPOSES] == ["outpatient", "pharmacy"]
