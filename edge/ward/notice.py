"""The notice for the door: what the cameras do, on what ground, and what one may do about it; printable A4.

Order 19 asks for a conspicuous sign at face recognition in public places, PIPL (art. 17) for purpose, kind,
time of keeping and rights in plain words. The words that a hospital's lawyers must settle are its own: the
notice names the settings as they are, and leaves out nothing that the software does.
"""

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from renzheng.contracts.errors import InputError
from renzheng.edge.settings import Settings

_PLACES_ZH: Mapping[str, str] = {"entrance": "病区出入口", "corridor": "病区走廊"}


def write_notice(
    settings: Settings, out: Path, *, hospital: str = "", contact: str = "", ward: str | None = None
) -> int:
    """Write one page for each ward that has cameras.

    Args:
        settings: the ward agent's.
        out: the HTML file.
        hospital: the institution's name; its id when empty.
        contact: whom to ask; a line to write on when empty.
        ward: one ward only.

    Returns:
        How many pages were written.

    Raises:
        InputError: there is no such ward, or no camera at all.
    """
    wards = sorted({camera.ward for camera in settings.ward.cameras if ward in (None, camera.ward)})
    if not wards:
        raise InputError(
            "The settings name no camera" + (f" of ward {ward}." if ward else "."),
            do="Add [[ward.cameras]] with id, url, ward and place.",
        )
    environment = Environment(
        loader=PackageLoader("renzheng.edge.ward", "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
    )
    page = environment.get_template("notice.html").render(
        hospital=hospital or settings.device.institution_id,
        contact=contact,
        consent_needed=settings.ward.consent_needed,
        crop_days=f"{settings.ward.crop_days:g}",
        presence_minutes=f"{settings.ward.presence_minutes:g}",
        wards=[
            {
                "name": name,
                "places_zh": "、".join(_PLACES_ZH[place] for place in _places(settings, name)),
                "places_en": " and ".join(f"the ward's {place}" for place in _places(settings, name)),
                "cameras": sum(camera.ward == name for camera in settings.ward.cameras),
            }
            for name in wards
        ],
    )
    out.write_text(page, encoding="utf-8")
    return len(wards)


def _places(settings: Settings, ward: str) -> list[str]:
    return sorted({camera.place for camera in settings.ward.cameras if camera.ward == ward}, reverse=True)
