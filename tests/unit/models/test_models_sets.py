"""What is compared with what, and how scores are taken without looking at the answer."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.contracts.errors import RenzhengError
from renzheng.models.comparison import plain_space
from renzheng.models.errors import PairsFileError, UnknownEngineError
from renzheng.models.evaluation.acquisition import Sample, check_engine
from renzheng.models.evaluation.as_site import require_people
from renzheng.models.evaluation.report import as_json
from renzheng.models.evaluation.run import evaluate
from renzheng.models.evaluation.scoring import card_scores, library_scores, site_scores
from renzheng.models.evaluation.sets import (
    Comparison,
    Photographs,
    all_pairs,
    read_groups,
    read_identities,
    read_pairs,
    with_references,
)
from renzheng.models.site import fusion_weights
from renzheng.models.templates import ModelId, Template

MODEL = ModelId("dlib-resnet:aaaaaaaaaaaa:16")


def photographs(people: int, each: int) -> Photographs:
    person = np.repeat(np.arange(people), each)
    return Photographs(tuple(Path(f"{who}/{index}.jpg") for index, who in enumerate(person)), person)


def samples(people: int, each: int, lost: tuple[int, ...] = ()) -> list[Sample]:
    rng = np.random.default_rng(0)
    own = rng.normal(0, 1, (people, 16)) + 2
    return [
        Sample(None, "no_face")
        if index in lost
        else Sample(Template((own[index // each] + rng.normal(0, 0.3, 16)).astype(np.float32), MODEL))
        for index in range(people * each)
    ]


person_arrays = st.lists(st.integers(0, 4), min_size=2, max_size=20).map(lambda who: np.sort(np.array(who)))


@given(person_arrays, st.integers(1, 4), st.data())
def test_a_probe_is_never_its_own_reference_and_references_are_of_one_person(
    person: np.ndarray, count: int, data: st.DataObject
) -> None:
    acquired = np.array(data.draw(st.lists(st.booleans(), min_size=len(person), max_size=len(person))))
    for each in with_references(person, acquired, count):
        assert each.probe not in each.references
        assert len(set(each.references)) == len(each.references) <= count
        assert len({person[image] for image in each.references}) == 1
        assert acquired[list(each.references)].all()
        assert each.mated == (person[each.references[0]] == person[each.probe])


def test_every_image_meets_every_person_s_references() -> None:
    person = np.repeat(np.arange(5), 4)
    comparisons = with_references(person, np.ones(20, bool), 3)
    assert len(comparisons) == 20 * 5
    assert sum(each.mated for each in comparisons) == 20
    assert {image for each in comparisons for image in each.references} == set(range(20))


def test_all_pairs_are_all_pairs() -> None:
    comparisons = all_pairs(np.array([0, 0, 1]))
    assert [(each.probe, each.references, each.mated) for each in comparisons] == [
        (0, (1,), True),
        (0, (2,), False),
        (1, (2,), False),
    ]


def test_of_too_many_strangers_a_sample_is_taken_and_of_mated_pairs_all() -> None:
    person = np.repeat(np.arange(60), 5)
    every = all_pairs(person)
    some = all_pairs(person, most=5_000)
    assert sum(each.mated for each in some) == sum(each.mated for each in every) == 60 * 10
    assert 3_000 < sum(not each.mated for each in some) < 7_000
    assert set(some) <= set(every)
    met = {int(person[image]) for each in some if not each.mated for image in (each.probe, *each.references)}
    assert met == set(range(60))
    referenced = with_references(person, np.ones(300, bool), 2, most=3_000)
    assert sum(each.mated for each in referenced) == 300
    assert 1_500 < sum(not each.mated for each in referenced) < 4_500


def test_a_site_s_centre_never_holds_the_people_compared() -> None:
    """Whatever the two people's other images are, their score changes by no more than rounding."""
    person = np.repeat(np.arange(6), 3)
    values = np.random.default_rng(1).normal(1, 1, (18, 16)).astype(np.float32)
    comparison = [Comparison(0, (3,), mated=False)]
    before = site_scores(values, person, comparison, MODEL, (1.0,))
    values[[1, 2, 4, 5]] = 100
    np.testing.assert_allclose(site_scores(values, person, comparison, MODEL, (1.0,)), before, atol=1e-6)
    values[6] += 5
    assert abs(site_scores(values, person, comparison, MODEL, (1.0,)) - before)[0] > 1e-4


def test_scores_are_those_of_the_definitions() -> None:
    values = np.array([[3, 4, 0, 0], [0, 5, 0, 0], [1, 0, 0, 0]], np.float32)
    model = ModelId("x:aaaaaaaaaaaa:4")
    comparisons = [Comparison(0, (1,), mated=True), Comparison(0, (1, 2), mated=True)]
    assert card_scores(values, comparisons, plain_space(model))[0] == pytest.approx(0.8)
    assert card_scores(values, comparisons, plain_space(model))[1] == pytest.approx(
        0.7
    )  # the mean of 0.8 and 0.6
    np.testing.assert_allclose(library_scores(values, comparisons), [1 - np.sqrt(10), 1 - np.sqrt(10)])


def test_parts_count_by_trust_over_deviation() -> None:
    cosines = np.array([[0.1, 0.4], [-0.1, -0.4]])
    np.testing.assert_allclose(fusion_weights(cosines, (0.5, 0.5)), [0.8, 0.2])
    np.testing.assert_allclose(fusion_weights(cosines[:1], (0.3, 0.7)), [0.3, 0.7])


def test_a_failure_to_acquire_is_a_failure_to_match() -> None:
    result = evaluate(photographs(8, 3), samples(8, 3, lost=(0,)), "dlib")
    report = as_json(result)
    assert report["fta"] == pytest.approx(1 / 24)
    assert report["comparisons"] == {"mated": 22, "non_mated": 8 * 7 // 2 * 9 - 21, "mated_not_acquired": 2}
    assert report["tar_at_fmr"]["0.01"] <= 22 / 24
    assert list(report["not_acquired"].values()) == ["no_face"]


def test_the_report_keeps_its_keys() -> None:
    groups = {"one": np.arange(24) < 12}
    report = as_json(evaluate(photographs(8, 3), samples(8, 3), "dlib", references=2, groups=groups))
    assert {"comparisons", "fta", "eer", "tar_at_fmr", "fnir_at_fpir", "groups", "det"} <= set(report)
    assert set(report["tar_at_fmr"]) == {"0.01", "0.001", "0.0001"}
    assert set(report["fnir_at_fpir"]) == {"0.01", "0.003"}
    assert {"accuracy_at_card_threshold", "fmr_at_card_threshold", "fnmr_at_card_threshold"} <= set(report)
    assert report["groups"]["one"]["comparisons"]["mated"] == 12
    assert report["fmr_supported"] == {"0.01": True, "0.001": False, "0.0001": False}
    assert report["eer"] < 0.05


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_photographs_of_phones_are_found_and_what_archives_add_is_not(tmp_path: Path) -> None:
    for name in ("张 三/1.HEIC", "张 三/more/2.avif", "李四/1.jfif", "李四/2.tif"):
        write(tmp_path / name, "")
    for name in ("张 三/._1.jpg", "张 三/Thumbs.db", "__MACOSX/张 三/._1.jpg", ".trash/a.jpg", "loose.jpg"):
        write(tmp_path / name, "")
    found = read_identities(tmp_path)
    assert [image.name for image in found.images] == ["1.HEIC", "2.avif", "1.jfif", "2.tif"]
    assert found.person.tolist() == [0, 0, 1, 1]


def test_an_engine_that_is_not_there_is_named_before_anything_is_started() -> None:
    with pytest.raises(UnknownEngineError, match="nonsense"):
        check_engine("nonsense")


@pytest.mark.parametrize(("people", "there", "message"), [(8, 100, "takes 10"), (15, 16, "at least 17")])
def test_a_site_that_cannot_be_made_is_refused_before_photographs_are_read(people, there, message) -> None:
    with pytest.raises(RenzhengError, match=message):
        require_people(people, there)


def test_pairs_are_read_and_mated_files_are_one_person(tmp_path: Path) -> None:
    for name in "abcd":
        write(tmp_path / f"{name}.jpg", "")
    path = write(tmp_path / "pairs.csv", "file_x,file_y,mated\na.jpg,b.jpg,1\nb.jpg,c.jpg,1\nc.jpg,d.jpg,0\n")
    found = read_pairs(path, tmp_path)
    assert [image.name for image in found.images] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert found.person[0] == found.person[1] == found.person[2] != found.person[3]
    assert found.pairs is not None
    assert [each.mated for each in found.pairs] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns"),
        ("a,b\n", "columns"),
        ("file_x,file_y,mated\n", "no rows"),
        ("file_x,file_y,mated\na.jpg,b.jpg,1\na.jpg,b.jpg,yes\n", "line 3"),
        ("file_x,file_y,mated\na.jpg,b.jpg\n", "line 2"),
        ("file_x,file_y,mated\na.jpg,b.jpg,1,1\n", "line 2"),
        ("file_x,file_y,mated\na.jpg,none.jpg,1\n", "none.jpg"),
    ],
)
def test_a_broken_list_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "a.jpg", "")
    write(tmp_path / "b.jpg", "")
    with pytest.raises(PairsFileError, match=message):
        read_pairs(write(tmp_path / "pairs.csv", text), tmp_path)


def test_identities_are_sub_folders_at_any_depth(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/more/2.PNG", "b/1.jpg", "b/notes.txt", "empty/x.txt"):
        write(tmp_path / name, "")
    found = read_identities(tmp_path)
    assert [path.name for path in found.images] == ["1.jpg", "2.PNG", "1.jpg"]
    assert found.person.tolist() == [0, 0, 1]
    groups = read_groups(write(tmp_path / "groups.csv", "file,group\na/1.jpg,old\n"), found.images, tmp_path)
    assert groups["old"].tolist() == [True, False, False]


def test_one_person_alone_cannot_be_evaluated(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1.jpg", "")
    with pytest.raises(PairsFileError, match="1 people"):
        read_identities(tmp_path)
    with pytest.raises(PairsFileError, match="no folder"):
        read_identities(tmp_path / "none")
