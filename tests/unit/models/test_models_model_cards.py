"""Every engine's model card says what the catalogue says, under the usual headings."""

import re
from pathlib import Path

import pytest

from renzheng.models import model_card
from renzheng.models.engine import ENGINES
from renzheng.models.errors import UnknownEngineError

CARDS = Path(__file__).resolve().parents[3] / "docs" / "model-cards"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_card_has_the_usual_headings_and_the_catalogue_s_figures(engine: str) -> None:
    text = (CARDS / f"{engine}.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == model_card.HEADINGS
    assert model_card.details(engine) in text, f"put in what `renzheng models card {engine}` prints"
    assert model_card.figures(engine) in text, f"put in what `renzheng models card {engine}` prints"


def test_there_is_a_card_of_every_engine_and_of_no_other() -> None:
    assert {path.stem for path in CARDS.glob("*.md")} == set(ENGINES)


def test_an_engine_without_figures_says_so_and_an_unknown_one_is_refused() -> None:
    assert model_card.figures("yunet-sface").startswith("Not measured")
    with pytest.raises(UnknownEngineError):
        model_card.details("nonsense")
