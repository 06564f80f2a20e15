"""Prompts by the real synthesiser, clips of the site's own, and e-credentials by the command line."""

import shutil
import wave

import cv2
import pytest
from parts.edge import make_settings
from typer.testing import CliRunner

from renzheng.edge.command import app
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.people import People, template_key
from renzheng.edge.errors import CredentialTakenError, SynthesiserError, UnknownPersonError
from renzheng.edge.kiosk import voices
from renzheng.edge.kiosk.voices import Voices, catalogues, render, spoken_keys

needs_synthesiser = pytest.mark.espeak


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Every prompt in both languages; what set-up has rendered is taken over, and a few are spoken anew."""
    folder = tmp_path_factory.mktemp("voices") / "voices"
    if voices.voices_folder().is_dir():
        shutil.copytree(voices.voices_folder(), folder)
        for path in folder.glob("*/guidance.*.wav"):
            path.unlink()
    render(folder)
    assert Voices(None, folder).counts() == {c: len(spoken_keys(w)) for c, w in catalogues().items()}
    return folder


@needs_synthesiser
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_word_of_the_catalogue_becomes_a_sound_that_lasts_as_long_as_words_do(rendered, language):
    for key in spoken_keys(catalogues()[language]):
        with wave.open(str(rendered / language / f"{key}.wav")) as sound:
            seconds = sound.getnframes() / sound.getframerate()
            samples = sound.readframes(sound.getnframes())
        assert 0.25 < seconds < 15, key
        assert max(samples) > 0, key


@needs_synthesiser
def test_rendering_again_changes_nothing_and_gives_the_same_files(rendered, tmp_path):
    assert render(rendered) == {"en": 0, "zh": 0}
    assert Voices(None, rendered).counts() == {c: len(spoken_keys(w)) for c, w in catalogues().items()}
    voices._speak("espeak-ng", "cmn", catalogues()["zh"]["idle.title"], tmp_path / "again.wav")
    assert (tmp_path / "again.wav").read_bytes() == (rendered / "zh" / "idle.title.wav").read_bytes()


@needs_synthesiser
def test_words_that_changed_are_not_spoken_until_they_are_rendered_anew(rendered, tmp_path, monkeypatch):
    folder = tmp_path / "voices"
    shutil.copytree(rendered, folder)
    changed = {code: {**words, "idle.title": "改过的"} for code, words in catalogues().items()}
    monkeypatch.setattr(voices, "catalogues", lambda: changed)
    assert Voices(None, folder).find("zh", "idle.title") is None
    assert Voices(None, folder).find("zh", "consent.title") is not None
    assert render(folder) == {"en": 1, "zh": 1}
    assert Voices(None, folder).find("zh", "idle.title") == folder / "zh" / "idle.title.wav"


def test_a_recorded_clip_goes_before_a_rendered_one_and_strange_files_are_left_alone(tmp_path):
    own = tmp_path / "own"
    (own / "zh").mkdir(parents=True)
    for name in ("idle.title.mp3", "no.such.key.mp3", "consent.title.txt"):
        (own / "zh" / name).write_bytes(b"sound")
    found = Voices(own, tmp_path / "none")
    assert found.keys() == {"zh": ["idle.title"], "en": []}
    assert found.find("zh", "idle.title") == own / "zh" / "idle.title.mp3"
    assert found.find("zh", "../../../etc/passwd") is None
    assert found.find("..", "idle.title") is None


def test_a_missing_synthesiser_is_said_plainly(tmp_path):
    with pytest.raises(SynthesiserError, match="apt-get install"):
        render(tmp_path, program="no-such-synthesiser")


@needs_synthesiser
def test_a_voice_that_the_synthesiser_lacks_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(voices, "catalogues", lambda: {"xx": {"voice": "no-such-voice", "title": "words"}})
    with pytest.raises(SynthesiserError, match="no-such-voice"):
        render(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def people(tmp_path):
    settings = make_settings(tmp_path).device
    store = Store(settings.data_dir / "device.sqlite")
    people = People(store, template_key(settings.data_dir / "template.key"))
    for person in ("P1", "P2"):
        people.put_patient(person, surname="王某", card_number=f"62220000{person}")
    yield people
    store.close()


def test_an_e_credential_names_one_patient_and_only_its_hash_is_kept(people, tmp_path):
    people.put_credential("P1", "token-of-one")
    assert people.by_credential(" token-of-one ").person_id == "P1"
    with pytest.raises(CredentialTakenError):
        people.put_credential("P2", "token-of-one")
    with pytest.raises(UnknownPersonError):
        people.put_credential("P9", "token-of-nine")
    people.put_credential("P1", "newer-token")
    with pytest.raises(UnknownPersonError):
        people.by_credential("token-of-one")
    people.store.close()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("device.sqlite*"))
    assert b"token" not in stored


def test_an_e_credential_is_entered_from_a_picture_of_its_code(people, tmp_path):
    config = tmp_path / "edge.toml"
    config.write_text('[device]\ndevice_id = "kiosk-01"\ninstitution_id = "H1"\ndata_dir = "data"\n')
    code = cv2.QRCodeEncoder.create().encode("token-in-a-picture")
    picture = tmp_path / "code.png"
    cv2.imwrite(
        str(picture),
        cv2.resize(
            cv2.copyMakeBorder(code, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=255),
            None,
            fx=8,
            fy=8,
            interpolation=cv2.INTER_NEAREST,
        ),
    )
    run = CliRunner().invoke(
        app, ["credential", "--config", str(config), "--person", "P2", "--image", str(picture)]
    )
    assert run.exit_code == 0, run.output
    assert "token" not in run.output
    assert people.by_credential("token-in-a-picture").person_id == "P2"
