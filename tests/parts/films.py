"""Films for the pretended camera: each is rendered once for all tests of a worker."""

import shutil
from pathlib import Path
from typing import Any

from parts.portraits import PORTRAITS

from renzheng.bench.feed import render_feed


class Films:
    """Renders what the tests show to cameras, and keeps it in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def show(self, feed: Path, photograph: str, **how: Any) -> Path:
        """Put this film before the camera that plays `feed`: at once, never half; `how` as `render_feed`."""
        words = [f"{name}-{value}" for name, value in sorted(how.items())]
        film = self._folder / "-".join([photograph, *words, "film.y4m"])
        if not film.exists():
            render_feed(PORTRAITS / photograph, film, **how)
        partial = feed.with_suffix(".part")
        try:
            partial.hardlink_to(film)
        except OSError:
            shutil.copyfile(film, partial)
        return partial.replace(feed)
