"""Spoken prompts: one sound file a catalogue key and language, rendered beforehand or recorded by the site.

    DIR/zh/guidance.come_closer.wav      DIR/zh/voices.json: which words each rendered file says

A file whose words are no longer those of the catalogue is not used: better silent than wrong. A site's own
recordings (`kiosk.voices_dir`: the same names; WAV, MP3, Ogg, M4A, WebM; any dialect) go before the rendered.
"""

import json
import logging
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

from renzheng.common.files import put
from renzheng.edge.errors import SynthesiserError
from renzheng.models.home import home

LOGGER = logging.getLogger(__name__)
Catalogue = Mapping[str, str]

SYNTHESISER = "espeak-ng"
WORDS_PER_MINUTE = 140
"""Slower than the synthesiser's own 175: the listener may be old, deaf on one ear, and tired."""

MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".m4a": "audio/mp4",
    ".webm": "audio/webm",
}
_MANIFEST = "voices.json"
_UNSPOKEN = ("language", "voice")
_LONGEST_RENDERING_S = 20


def catalogues() -> dict[str, Catalogue]:
    """Read every catalogue of the page, by language code."""
    folder = resources.files("renzheng.edge.kiosk") / "page" / "catalogue"
    return {
        file.name.removesuffix(".json"): json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".json")
    }


def spoken_keys(catalogue: Catalogue) -> list[str]:
    """Which keys have words that can be spoken."""
    return [key for key, words in catalogue.items() if key not in _UNSPOKEN and words]


def voices_folder() -> Path:
    """Where rendered voices lie on this machine."""
    return home() / "voices"


def render(out: Path, *, program: str = SYNTHESISER) -> dict[str, int]:
    """Render what is missing or says other words than the catalogue; the same words give the same files.

    Args:
        out: the folder that gets one folder a language.
        program: the synthesiser.

    Returns:
        How many files were rendered, by language.

    Raises:
        SynthesiserError: the synthesiser is not installed, or refused a voice.
    """
    if shutil.which(program) is None:
        raise SynthesiserError(
            f"{program} is not on this machine, so no prompts were rendered.",
            why="The kiosk works silently without them, which a blind patient cannot use.",
            do=f"sudo apt-get install -y --no-install-recommends {SYNTHESISER}; or record clips of your own.",
        )
    return {code: _render_one(out / code, catalogue, program) for code, catalogue in catalogues().items()}


def _render_one(folder: Path, catalogue: Catalogue, program: str) -> int:
    voice, said = catalogue["voice"], _read_manifest(folder)
    _check_voice(program, voice)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {key: f"{voice}: {catalogue[key]}" for key in spoken_keys(catalogue)}
    missing = [key for key in wanted if said.get(key) != wanted[key] or not (folder / f"{key}.wav").exists()]
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda key: _speak(program, voice, catalogue[key], folder / f"{key}.wav"), missing))
    for stale in set(said) - set(wanted):
        (folder / f"{stale}.wav").unlink(missing_ok=True)
    text = json.dumps(wanted, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / _MANIFEST).write_text(text + "\n", encoding="utf-8")
    return len(missing)


def _check_voice(program: str, voice: str) -> None:
    """See that the synthesiser has a voice: asked to speak with one it lacks, it takes another in silence."""
    listed = subprocess.run([program, f"--voices={voice}"], capture_output=True, text=True, check=False)
    languages = [columns[1] for line in listed.stdout.splitlines()[1:] if len(columns := line.split()) > 1]
    if not any(language.startswith(voice) for language in languages):
        raise SynthesiserError(
            f"{program} has no voice {voice!r}.",
            do=f"Look at {program} --voices, and mend the catalogue's entry `voice`.",
        )


def _speak(program: str, voice: str, words: str, path: Path) -> None:
    partial = path.with_suffix(".part")
    command = [program, "-v", voice, "-s", str(WORDS_PER_MINUTE), "-w", str(partial), "--stdin"]
    try:
        ended = subprocess.run(
            command, input=words.encode(), capture_output=True, timeout=_LONGEST_RENDERING_S, check=False
        )
        problem = ended.stderr.decode(errors="replace").strip() if ended.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem or not partial.exists():
        partial.unlink(missing_ok=True)
        raise SynthesiserError(
            f"{program} could not speak: {problem[:200] or 'it wrote nothing'}.",
            do="Look at the disk's space, or try the command by hand.",
        )
    put(partial, path)


class Voices:
    """The clips that this kiosk can play; looked up once, at the start.

    Args:
        recorded: the site's own folder; None when it has none.
        rendered: the folder that `render` filled.
    """

    def __init__(self, recorded: Path | None, rendered: Path) -> None:
        self._clips: dict[str, dict[str, Path]] = {}
        for code, catalogue in catalogues().items():
            clips = _rendered_clips(rendered / code, catalogue)
            if recorded is not None:
                clips |= _recorded_clips(recorded / code, catalogue)
            self._clips[code] = clips
        if not any(self._clips.values()):
            LOGGER.warning("no spoken prompts: the kiosk is silent; renzheng edge voices render makes them")

    @property
    def languages(self) -> Sequence[str]:
        """The catalogues' codes, Chinese first."""
        return sorted(self._clips, key=lambda code: (code != "zh", code))

    def keys(self) -> dict[str, list[str]]:
        """What can be played, by language."""
        return {code: sorted(clips) for code, clips in self._clips.items()}

    def counts(self) -> dict[str, int]:
        """How many clips there are, by language; for operators."""
        return {code: len(clips) for code, clips in self._clips.items()}

    def find(self, language: str, key: str) -> Path | None:
        """The clip of a key; only what was found at the start, whatever is asked for."""
        return self._clips.get(language, {}).get(key)


def _rendered_clips(folder: Path, catalogue: Catalogue) -> dict[str, Path]:
    said = _read_manifest(folder)
    return {
        key: folder / f"{key}.wav"
        for key in spoken_keys(catalogue)
        if said.get(key) == f"{catalogue['voice']}: {catalogue[key]}" and (folder / f"{key}.wav").is_file()
    }


def _recorded_clips(folder: Path, catalogue: Catalogue) -> dict[str, Path]:
    known = set(spoken_keys(catalogue))
    if not folder.is_dir():
        return {}
    return {
        path.stem: path
        for path in sorted(folder.iterdir())
        if path.stem in known and path.suffix.lower() in MEDIA_TYPES
    }


def _read_manifest(folder: Path) -> dict[str, str]:
    try:
        said = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
