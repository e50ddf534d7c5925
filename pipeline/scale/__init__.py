"""Cells on other machines, or several at a time on this one: what is missing is planned, run anywhere, and collected.

A plan names the stages of the pipeline that are not done. A cell, one such stage, runs in a clone of its own at the
plan's commit, and hands its result over through DVC's cache: a remote's, or the cache that the clones share. Collecting
it adds its entry to the lock file, which DVC then holds to the code, the parameters and the data as it does any other.
"""
