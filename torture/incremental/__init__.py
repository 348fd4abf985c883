"""Random pipelines and edits of data, parameters and code, run incrementally and held to a whole run.

Two invariants: after every run the tables are those that the whole run computes, and no node has run that
need not have: with the same code, parameters and inputs on record, and results that can be had.
"""
