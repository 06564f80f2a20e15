"""The verdicts once more, in plain Python: slow, obvious, and written apart from the SQL.

It is what the engines are held against in the tests, on generated cases and on the rules' own examples; what
`renzheng audit run --engine python` runs; and the place to look up what a verdict means when the SQL seems
unclear. Read it in this order: `case` (one spelling for one id, broken rows apart), `billing` (what is
billed), `sessions`, `assignment` (which session serves which line), `dialysis` and `beds` (the verdicts, in
order of precedence), `shields` (broken rows), `ledger`.
"""

from renzheng.central.audit.oracle.case import Shared
from renzheng.central.audit.oracle.judge import Oracle
from renzheng.central.audit.oracle.values import Answer, BoxSum, DayAnswer, Judgement, Parameters

__all__ = ["Answer", "BoxSum", "DayAnswer", "Judgement", "Oracle", "Parameters", "Shared"]
