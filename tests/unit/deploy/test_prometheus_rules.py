"""The rules ask for metrics that exist, and for every problem that the watch knows."""

import re
from pathlib import Path

import yaml

from renzheng.central.metrics import HELP
from renzheng.central.watch.problems import KINDS

RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "renzheng.rules.yml"


def expressions():
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def test_every_metric_that_a_rule_asks_for_is_there():
    asked = {name for expr in expressions() for name in re.findall(r"\brenzheng_[a-z_]+", expr)}
    of_central = {name for name in asked if not name.startswith("renzheng_edge_")}
    assert of_central - set(HELP) == set()
    assert asked - of_central == {"renzheng_edge_worker_moves", "renzheng_edge_disk_short"}


def test_every_problem_that_the_watch_knows_has_a_rule():
    told = {
        kind
        for expr in expressions()
        for names in re.findall(r'problem=~"([^"]+)"', expr)
        for kind in names.split("|")
    }
    by_a_metric_of_its_own = {"broker_unreachable"}
    assert set(KINDS) - told == by_a_metric_of_its_own
