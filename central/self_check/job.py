"""The folder of one check of an uploaded month: what lies in it under which name.

Apart from the worker, so that the console does not load the importers and the audit for five names.
"""

JOB, RESULT, PROBLEM, LINES, POINTS = "job.json", "result.json", "problem.json", "lines", "points.knowledge"
