"""Random pipelines, catalogs, failures and resumes, held to what a plain whole run in memory computes.

One invariant: after every run, either the run failed and no table of any branch changed, or its target holds,
by ``dolt_hashof_table``, what the whole run computes from the same state and parameters, and no other branch
changed. Nothing stands uncommitted anywhere.
"""
