"""Every word that the page may need stands in every catalogue."""

import json
import re
from importlib import resources

import pytest

from renzheng.edge.kiosk import session
from renzheng.edge.look import attempt, faces
from renzheng.models.liveness.pose import Challenge
from renzheng.models.quality import Guidance

PAGE = resources.files("renzheng.edge.kiosk") / "page"
CATALOGUES = {
    file.name.removesuffix(".json"): json.loads(file.read_text(encoding="utf-8"))
    for file in (PAGE / "catalogue").iterdir()
}


def test_chinese_and_english_say_the_same_things():
    assert set(CATALOGUES) == {"zh", "en"}
    assert set(CATALOGUES["zh"]) == set(CATALOGUES["en"])


@pytest.mark.parametrize("language", CATALOGUES)
def test_no_word_is_missing_or_empty(language):
    words = CATALOGUES[language]
    needed = {f"guidance.{code}" for code in Guidance}
    needed |= {
        f"guidance.{code}"
        for code in (
            attempt.TURN_A_LITTLE,
            faces.UNREADABLE,
            session.LIVENESS_NOT_SHOWN,
            *Challenge,
            "try_again",
            "no_frames",
        )
    }
    needed |= {f"cause.{cause.value}" for cause in session.Cause}
    needed |= {f"identifier.{identifier.value}" for identifier in session.WITNESSED_IDENTIFIERS}
    for page in ("index.html", "enrol.html"):
        needed |= set(re.findall(r'data-say="([^"]+)"', (PAGE / page).read_text(encoding="utf-8")))
    for script in ("kiosk.js", "enrol.js"):
        needed |= set(re.findall(r'say\("([^"]+)"\)', (PAGE / script).read_text(encoding="utf-8")))
    assert not {key for key in needed if not words.get(key)}
