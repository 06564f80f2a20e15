"""Whether one camera's pictures show what it should, over restarts: dark, covered, frozen, or turned away."""

import hashlib
from pathlib import Path

import numpy as np

from renzheng.edge.ward import sight
from renzheng.edge.ward.decoder import Picture
from renzheng.edge.ward.sight import Condition, Edges, PictureHistory, Rules, Small


class Scene:
    """What a camera is known to look at.

    Args:
        path: where the scene is kept, so that a camera that was turned while nobody watched is noticed.
        rules: what a good picture is.
    """

    def __init__(self, path: Path, rules: Rules) -> None:
        self.path = path
        self._rules = rules
        edges = read_scene(path)
        self._sight = (
            PictureHistory() if edges is None else PictureHistory(scene=edges, looks=rules.settling_looks)
        )

    @property
    def condition(self) -> Condition:
        """What the pictures are like."""
        return self._sight.condition

    def look(self, picture: Picture, small: Small, at_s: float) -> Condition:
        """Take one picture.

        Args:
            picture: as it was decoded.
            small: the same, as `sight.in_small` makes it.
            at_s: when it came, on the steady clock.
        """
        before = self._sight
        if before.condition is Condition.MOVED and not self.path.exists():
            before = PictureHistory()  # somebody has said that it hangs where it should
        self._sight = sight.look(before, small, _fingerprint(picture), at_s, self._rules)
        self._keep(before)
        return self._sight.condition

    def _keep(self, before: PictureHistory) -> None:
        """Write the scene once it has been learnt; edges at 160 x 90, in which nobody can be known."""
        learnt = self._sight.looks == self._rules.settling_looks and before.looks < self._sight.looks
        if learnt and self._sight.scene is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.path.open("wb") as out:
                np.save(out, self._sight.scene.astype(np.float16))


def scene_file(data_dir: Path, camera_id: str) -> Path:
    """Return where the scene of a camera is kept."""
    return data_dir / "scenes" / f"{camera_id}.npy"


def read_scene(path: Path) -> Edges | None:
    """Read a scene that was kept; None when there is none that can be used."""
    try:
        with path.open("rb") as file:
            scene = np.asarray(np.load(file, allow_pickle=False), np.float32)
    except (OSError, ValueError, EOFError):
        return None
    return scene if scene.shape == sight.SMALL_PX[::-1] else None


def _fingerprint(picture: Picture) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(picture.grey[::4, ::4]).data, digest_size=16).digest()
