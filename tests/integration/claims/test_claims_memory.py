"""Memory does not grow with the file: four times the lines take hardly more of it."""

import json
import subprocess
import sys

import pytest

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


def _import_kib(path, out):
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, path, out], check=True, capture_output=True, text=True, timeout=1500
    )
    assert (out / "claim_lines.parquet").exists()
    return int(done.stdout)


def _message(n):
    line = {
        "mdtrt_id": f"V{n}",
        "psn_no": f"P{n // 3}",
        "fee_ocur_time": "2026-03-02 08:00:00",
        "med_list_codg": "003110000060000",
        "medins_list_name": "血液透析",
        "det_item_fee_sumamt": "400.00",
        "cnt": 1,
        "exp_content": "x" * 200,
    }
    lines = [line | {"feedetl_sn": str(k)} for k in range(8)]
    sent = {
        "infno": "2204",
        "msgid": f"m{n}",
        "fixmedins_code": f"H{n % 20}",
        "inf_time": "2026-03-02 09:00:00",
    }
    answer = {"infcode": "0", "inf_refmsgid": f"m{n}", "output": {"result": []}}
    return [sent | {"input": {"feedetail": lines}}, answer]


def _settlement(n):
    """One settled visit whose total is not the sum of its lines; the next message is its line."""
    info = {"setl_id": f"S{n}", "mdtrt_id": f"V{n}", "psn_no": f"P{n // 3}", "medfee_sumamt": "900.00"}
    sent = {"fixmedins_code": f"H{n % 20}", "msgid": f"s{n}", "inf_time": "2026-03-04 09:00:00"}
    settled = {"input": {"data": info | {"exp_content": "x" * 200}}, "infcode": "0"}
    (line, _) = _message(n)
    del line["input"]["feedetail"][1:]
    return [
        sent | {"infno": "2207", "output": {"setlinfo": info | {"fund_pay_sumamt": "700.00"}}} | settled,
        line,
    ]


def _json_kib(tmp_path, messages, form, made=_message):
    """Write a log of messages and answers, as lines, one list, or a table's export, and import it."""
    path = tmp_path / f"{messages}.json"
    begin, between, end = {
        "lines": ("", "\n", ""),
        "list": ("[", ",\n", "]"),
        "export": ('{"RECORDS": [', ",", "]}"),
    }[form]
    with path.open("w", encoding="utf-8") as stream:
        stream.write(begin)
        for n in range(messages):
            texts = [json.dumps(one, ensure_ascii=False) for one in made(n)]
            stream.write((between if n else "") + between.join(texts))
        stream.write(end)
    return _import_kib(path, tmp_path / f"out-{messages}")


def _peak_kib(tmp_path, lines):
    path = tmp_path / f"{lines}.csv"
    with path.open("w", encoding="utf-8") as stream:
        stream.write(HEADER)
        for n in range(lines):
            bad = "x" if n % 10 == 0 else "1"
            stream.write(
                f"H{n % 20},{n % 7},V{n // 7},P{n // 70},2026-03-02 08:00:00,D{n % 900},{n}.00,{bad},14\n"
            )
    return _import_kib(path, tmp_path / f"out-{lines}")


def test_four_times_the_lines_take_hardly_more_memory(tmp_path):
    small, large = _peak_kib(tmp_path, 30_000), _peak_kib(tmp_path, 120_000)
    assert large - small < 64 * 1024, (small, large)


def test_a_log_of_messages_and_answers_takes_hardly_more_memory_when_it_is_four_times_as_long(tmp_path):
    small, large = _json_kib(tmp_path, 1_500, "lines"), _json_kib(tmp_path, 6_000, "lines")
    assert large - small < 64 * 1024, (small, large)


# `long`: the same stream as above, of other messages
@pytest.mark.long
def test_a_log_of_settlements_takes_hardly_more_memory_when_it_is_four_times_as_long(tmp_path):
    small, large = (_json_kib(tmp_path, number, "lines", _settlement) for number in (4_000, 16_000))
    assert large - small < 64 * 1024, (small, large)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("form", ["lines", "list", "export"])
def test_a_log_of_200_megabytes_streams(tmp_path, form):
    messages = 60_000
    assert _json_kib(tmp_path, messages, form) < 600 * 1024
    assert (tmp_path / f"{messages}.json").stat().st_size > 200_000_000
