"""What is known of strangers' scores before a site has any people, by the networks of the templates."""

from renzheng.models.catalogue.cards import card, cards
from renzheng.models.tail import UNKNOWN, USUAL_TAIL, Prior
from renzheng.models.templates import ModelId, model_id


def prior_of(model: ModelId) -> Prior:
    """Return the prior that a card has for a model; `UNKNOWN` where none has."""
    for known in cards().values():
        for each in known.priors:
            if model == _model_of(each.embedders):
                return Prior(each.deviation, each.doubt, USUAL_TAIL, each.people)
    return UNKNOWN


def _model_of(embedders: tuple[str, ...]) -> ModelId:
    found = [card(name) for name in embedders]
    return model_id([(each.name, each.sha256, each.output.length) for each in found])
