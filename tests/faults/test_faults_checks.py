"""No message 3103 that was acknowledged is lost, wherever the process is killed (1,000 kills by choice)."""

from faults.counts import often
from faults.rig import seeded
from parts.killed import Apart

from renzheng.central.checks.keeping import Keeper

WORK = """
import itertools

from renzheng.central.checks import nhsa
from renzheng.central.checks.keeping import Check, Keeper

keeper = Keeper(path)
for number in itertools.count():
    name = f"{run}-{number}"
    told = {"id": name, "point": "p", "version": "v"}
    keeper.keep(Check(f"c{name}", number, "H1", "his", "before", "ok", b"{}", [(told, True)], [name]))
    warns = [{"warn_rslt_id": name, "dspo_way": "1", "dspo_way_rea": "emergency"}]
    _, data = nhsa.envelope({"input": {"data": {"warns": warns}}})
    keeper.answer(nhsa.feedback_in(data), "his", number)
    tell(name)
"""


def test_acknowledged_feedback_survives_kills(tmp_path, counts):
    path, chance, acknowledged = tmp_path / "checks.sqlite", seeded(43), []
    kills = often(3, 1000)
    for run in range(kills):
        apart = Apart(WORK, path=path, run=run)
        acknowledged += [apart.hear() for _ in range(chance.randint(1, 30))]
        apart.kill()
        acknowledged += apart.all_heard()
    keeper = Keeper(path)
    lost = [name for name in acknowledged if keeper.answers(name) != [("overridden", "emergency")]]
    keeper.close()
    assert lost == []
    counts.add("kill -9, answers to checks", kills=kills, acknowledged=len(acknowledged), lost=len(lost))
