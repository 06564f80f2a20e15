"""What a large JSON file costs: the reader that is kept, beside ijson on the same file."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from renzheng.bench.sync.reading import measure
from renzheng.contracts.errors import FaultError


class Figure(TypedDict):
    """What one reader took for one file: values read, processor seconds, peak memory."""

    reader: str
    file: str
    values: int
    processor_seconds: float
    peak_mib: int


_OWN = (
    "from pathlib import Path\n"
    "from renzheng.central.claims.json_stream import read_values\n"
    "n = sum(1 for _ in read_values(Path(path)))\n"
)
_IJSON = "import ijson\nn = sum(1 for _ in ijson.items(open(path, 'rb'), 'item'))\n"
_IJSON_MARKED = (
    "import ijson\n"
    "from renzheng.central.claims.encoding import detect_encoding\n"
    "class Marked(dict):\n"
    "    twice = False\n"
    "    def __setitem__(self, key, value):\n"
    "        self.twice = self.twice or key in self\n"
    "        super().__setitem__(key, value)\n"
    "from pathlib import Path\n"
    "codec = detect_encoding(Path(path)).codec\n"
    "class Recoded:\n"
    "    def __init__(self, text):\n"
    "        self.text = text\n"
    "    def read(self, size):\n"
    "        return self.text.read(size).encode()\n"
    "text = open(path, encoding=codec, newline='')\n"
    "n = sum(1 for _ in ijson.items(Recoded(text), 'item', map_type=Marked))\n"
)
READERS = {"read_values": _OWN, "ijson": _IJSON, "ijson, keys twice seen, any encoding": _IJSON_MARKED}


def run(messages: int, tell: Callable[[str], None]) -> list[Figure]:
    """Write an array of so many messages in UTF-8 and in GB18030; read it with each reader."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for codec in ("utf-8", "gb18030"):
            path = Path(folder) / f"{codec}.json"
            write(path, messages, codec)
            tell(f"{messages:,} messages in {codec}, {path.stat().st_size / 1e6:,.0f} MB")
            for name, read in READERS.items():
                tell(name)
                try:
                    values, seconds, peak = measure(read, path)
                except FaultError as error:
                    tell(f"{name}: {error.what}")
                    continue
                figures.append(
                    Figure(reader=name, file=codec, values=values, processor_seconds=seconds, peak_mib=peak)
                )
    return figures


def write(path: Path, messages: int, codec: str) -> None:
    """Write an array of messages as an institution's log holds them, eight lines each."""
    with path.open("w", encoding=codec) as stream:
        stream.write("[")
        for n in range(messages):
            stream.write((",\n" if n else "") + json.dumps(_message(n), ensure_ascii=False))
        stream.write("]")


def _message(n: int) -> dict[str, object]:
    line = {
        "mdtrt_id": f"V{n}",
        "psn_no": f"P{n // 3}",
        "fee_ocur_time": "2026-03-02 08:00:00",
        "med_list_codg": "003110000060000",
        "medins_list_name": "血液透析",
        "det_item_fee_sumamt": 400.25,
        "cnt": 1,
        "exp_content": "x" * 200,
    }
    return {
        "infno": "2204",
        "msgid": f"m{n}",
        "fixmedins_code": f"H{n % 20}",
        "inf_time": "2026-03-02 09:00:00",
        "input": {"feedetail": [line | {"feedetl_sn": str(k)} for k in range(8)]},
    }
