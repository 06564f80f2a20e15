"""Lists of labelled presentations: what can be read, and that what cannot is named."""

import cv2
import numpy as np
import pytest

from renzheng.models.errors import LabelsFileError
from renzheng.models.evaluation import pad
from renzheng.models.evaluation.pad import Concluded, Result
from renzheng.models.evaluation.presentations import Presentation, frames_of, read_labels


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "frames").mkdir()
    for index in range(3):
        cv2.imwrite(str(tmp_path / "frames" / f"{index}.png"), np.full((48, 64, 3), index, np.uint8))
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((48, 64, 3), np.uint8))
    return tmp_path


def listed(folder, text):
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_and_a_folder_of_frames_are_read_in_order(folder):
    read = read_labels(
        listed(folder, "File,Species,Label\nframes,phone,Attack\none.png,,bona fide\n"), folder
    )
    assert [(each.name, each.species, each.attack) for each in read] == [
        ("frames", "phone", True),
        ("one.png", "bona_fide", False),
    ]
    assert [int(frame[0, 0, 0]) for frame in frames_of(read[0])] == [0, 1, 2]
    assert len(list(frames_of(read[1]))) == 1


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("file,label\none.png,attack\n", "species"),
        ("", "file, species, label"),
        ("file,species,label\n", "names no presentation"),
        ("file,species,label\nnone.png,x,attack\n", "line 2: none.png is not there"),
        ("file,species,label\none.png,x,attack\none.png,x,perhaps\n", "line 3: label 'perhaps'"),
        ("file,species,label\none.png,,attack\n", "line 2: an attack without its species"),
        ("file,species,label\n,x,attack\n", "line 2: no file"),
    ],
)
def test_what_cannot_be_used_is_named(folder, text, named):
    with pytest.raises(LabelsFileError) as raised:
        read_labels(listed(folder, text), folder)
    assert named in raised.value.what


def test_a_missing_list_folder_or_frame_is_named(folder):
    with pytest.raises(LabelsFileError, match="no folder"):
        read_labels(folder / "labels.csv", folder / "none")
    with pytest.raises(LabelsFileError, match="cannot be read"):
        read_labels(folder / "none.csv", folder)
    (folder / "empty").mkdir()
    (folder / "bad.mp4").write_bytes(b"no video")
    for name in ("empty", "bad.mp4"):
        with pytest.raises(LabelsFileError):
            list(frames_of(Presentation(name, folder / name, "x", attack=True)))


def result(species, concluded, *, attack):
    return Result(Presentation("f", None, species, attack), concluded, 0.0, (), 1, None)


def test_errors_are_counted_by_species_and_what_is_not_shown_is_no_error_of_an_attack():
    counted = pad.evaluate(
        [result("phone", Concluded.BONA_FIDE, attack=True)]
        + [result("phone", Concluded.NOT_SHOWN, attack=True)] * 3
        + [result("print", Concluded.ATTACK, attack=True)] * 42
        + [result("bona_fide", Concluded.BONA_FIDE, attack=False)] * 19
        + [result("bona_fide", Concluded.NOT_ACQUIRED, attack=False)]
    )
    told = pad.as_json(counted, engine="dlib", network=None)
    assert told["species"]["phone"]["apcer"] == 0.25
    assert told["species"]["print"]["apcer"] == 0.0
    assert told["species"]["print"]["apcer_interval"][1] == pytest.approx(0.084, abs=0.001)
    assert (told["apcer_worst"], told["bpcer"]) == (0.25, 0.05)
    assert told["bona_fide"]["classified"]["not_acquired"] == 1
    assert len(told["results"]) == 66


def test_a_list_of_attacks_alone_has_no_bpcer():
    told = pad.as_json(
        pad.evaluate([result("x", Concluded.NOT_SHOWN, attack=True)]), engine="dlib", network=None
    )
    assert (told["bpcer"], told["bona_fide"]) == (None, None)
