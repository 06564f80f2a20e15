"""Memory does not grow with the file: four times the lines take hardly more of it."""

import subprocess
import sys

IMPORT = """
import resource, sys
from pathlib import Path
from renzheng.central.claims.importer import import_claims
import_claims(Path(sys.argv[1]), Path(sys.argv[2]), file_format="nhsa")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
HEADER = (
    "fixmedins_code,feedetl_sn,mdtrt_id,psn_no,fee_ocur_time,med_list_codg,det_item_fee_sumamt,cnt,med_type\n"
)


def _peak_kib(tmp_path, lines):
    path = tmp_path / f"{lines}.csv"
    with path.open("w", encoding="utf-8") as stream:
        stream.write(HEADER)
        for n in range(lines):
            bad = "x" if n % 10 == 0 else "1"
            stream.write(
                f"H{n % 20},{n % 7},V{n // 7},P{n // 70},2026-03-02 08:00:00,D{n % 900},{n}.00,{bad},14\n"
            )
    out = tmp_path / f"out-{lines}"
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, path, out], check=True, capture_output=True, text=True, timeout=240
    )
    assert (out / "claim_lines.parquet").exists()
    return int(done.stdout)


def test_four_times_the_lines_take_hardly_more_memory(tmp_path):
    small, large = _peak_kib(tmp_path, 30_000), _peak_kib(tmp_path, 120_000)
    assert large - small < 64 * 1024, (small, large)
