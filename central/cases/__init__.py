"""From a doubt to money refused, returned or cleared: states and guards, evidence, journal, time and money.

Read `doubts` (what a case and a doubt are), `guards` (why a step is refused), `acts` (the steps), then
`keeping` (how a step comes into the store). The first three know no store and no clock.
"""
