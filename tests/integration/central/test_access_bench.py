"""What the access log and signing in cost is measured on a full log, over a real socket."""

from renzheng.bench.access.run import run


def test_a_log_is_verified_and_pages_and_sign_ins_are_timed():
    found = run(1_000, 1)
    assert found.entries == 1_000
    assert min(found.verify_seconds, found.page_ms, found.page_without_ms, found.sign_in_ms) > 0
    assert found.sign_in_worst_ms >= found.sign_in_ms
