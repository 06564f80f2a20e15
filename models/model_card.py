"""The parts of an engine's model card that its models' cards decide: what it is made of, and its figures.

The cards (`docs/model-cards`) have the headings of Mitchell et al., Model Cards for Model Reporting (FAT*
2019); a test holds these parts against them.
"""

from collections.abc import Iterable, Sequence

from renzheng.models.catalogue.cards import Card, OperatingPoint, card
from renzheng.models.engine import ENGINES
from renzheng.models.errors import UnknownEngineError

HEADINGS = (
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
)
_DETECTORS = {"mmod": ("dlib-mmod",), "yunet": ("yunet", "dlib-mmod")}
_DIGITS = 12


def details(engine: str) -> str:
    """Return the table of the networks of an engine, in Markdown.

    Raises:
        UnknownEngineError: no engine of that name.
    """
    head = ("network", "task", "origin", "licence", "trained on", "file and SHA-256")
    return _table(head, (_network(each) for each in _networks(engine)))


def figures(engine: str) -> str:
    """Return the table of an engine's operating points on the cards, in Markdown.

    Raises:
        UnknownEngineError: no engine of that name.
    """
    head = ("population", "people", "threshold", "FMR (95 %)", "FNMR (95 %)", "measured")
    points = _points(engine)
    if not points:
        return "Not measured: the engine decides nothing before a site has calibrated on its own people."
    sets = sorted({each.data_set for each in points})
    rows = [(*_point(each), f"{each.date}, set {sets.index(each.data_set) + 1}") for each in points]
    notes = [f"{number}. {text}." for number, text in enumerate(sets, start=1)]
    return "\n".join([_table(head, rows), "", *notes])


def _networks(engine: str) -> Sequence[Card]:
    if engine not in ENGINES:
        raise UnknownEngineError(
            f"There is no engine {engine!r}.", do=f"Choose one of: {', '.join(ENGINES)}.", name=engine
        )
    recipe = ENGINES[engine]
    return [card(name) for name in (*_DETECTORS[recipe.detector], *recipe.embedders)]


def _network(known: Card) -> tuple[str, ...]:
    file = f"`{known.file}` {known.sha256[:_DIGITS]}…"
    return known.title, known.task, known.origin, known.licence, known.training_data, file


def _points(engine: str) -> Sequence[OperatingPoint]:
    on = _networks(engine)[-1].operating_points
    found = [each for each in on if each.engine == engine]
    return sorted(found, key=lambda each: (each.population, -each.fmr))


def _point(each: OperatingPoint) -> tuple[str, ...]:
    return (
        each.population,
        str(each.people),
        f"{each.threshold:.4f}",
        f"{each.fmr:g} ({each.fmr_interval[0]:.4f} to {each.fmr_interval[1]:.4f})",
        f"{each.fnmr:.3f} ({each.fnmr_interval[0]:.3f} to {each.fnmr_interval[1]:.3f})",
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)
