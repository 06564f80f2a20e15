"""The process of `renzheng.models.phone_photographs`: ``python -m renzheng.models.phone_decoder HEIF|AVIF``.

Reads the file from standard input; writes ``columns rows``, a newline and the pixels (RGB), or why not.
"""

import resource
import sys
import warnings

from renzheng.models.errors import TruncatedImageError
from renzheng.models.images import pixels_of
from renzheng.models.phone_photographs import DAMAGED
from renzheng.models.sides import FORMATS_OF_PHONES, admit

MOST_MEMORY_BYTES = 1 << 30
"""Address space; a photograph of 12 megapixels needs 0.7 GB of it, most of that libraries."""
MOST_PROCESSOR_SECONDS = 60


def main(form: str) -> int:
    """Decode one file; returns the exit status."""
    for kind, most in (
        (resource.RLIMIT_AS, MOST_MEMORY_BYTES),
        (resource.RLIMIT_CPU, MOST_PROCESSOR_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    if form == "HEIF":
        import pi_heif  # noqa: PLC0415 - of no use to the other format

        pi_heif.register_heif_opener()
    warnings.simplefilter("ignore")  # Pillow warns of oddities in metadata, which are not used
    data = sys.stdin.buffer.read()
    try:
        pixels = pixels_of(data, admit(data))
    except TruncatedImageError as error:
        sys.stdout.buffer.write(" ".join(str(error.why).split()).encode())
        return DAMAGED
    rows, columns = pixels.shape[:2]
    sys.stdout.buffer.write(f"{columns} {rows}\n".encode() + pixels.tobytes())
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in FORMATS_OF_PHONES:  # noqa: PLR2004 - one argument
        raise SystemExit(2)
    raise SystemExit(main(sys.argv[1]))
