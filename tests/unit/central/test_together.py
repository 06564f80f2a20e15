"""What is handed in while something is written is written together with the next, and fails together."""

import threading

import pytest

from renzheng.central.access.together import Together


def test_those_who_wait_are_written_at_once_each_with_its_own_result():
    written, begun, go = [], threading.Event(), threading.Event()

    def write(values):
        written.append(list(values))
        begun.set()
        go.wait(10)
        return [value * 10 for value in values]

    together = Together(write)
    results = {}
    threads = [
        threading.Thread(target=lambda n=n: results.__setitem__(n, together.write(n))) for n in range(1, 5)
    ]
    threads[0].start()
    begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(together._waiting) < 3:
        pass
    go.set()
    for thread in threads:
        thread.join(10)
    assert results == {1: 10, 2: 20, 3: 30, 4: 40}
    assert written[0] == [1]
    assert sorted(written[1]) == [2, 3, 4]


def test_a_fault_is_raised_to_whoever_handed_it_in_and_the_next_is_written():
    def write(values):
        if "bad" in values:
            raise OSError("full")
        return list(values)

    together = Together(write)
    with pytest.raises(OSError, match="full"):
        together.write("bad")
    assert together.write("good") == "good"
