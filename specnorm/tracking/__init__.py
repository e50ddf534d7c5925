"""A view of the results in MLflow; the files stay their home.

A run a mode, the runs of its cells below it, and the recommended mode's model in the registry.

:mod:`~specnorm.tracking.place` says where MLflow is, :mod:`~specnorm.tracking.mirror` brings results there, and
:mod:`~specnorm.tracking.marks` remembers that they are there. Nothing is imported here: MLflow takes seconds, and a
mark is there to spare them.
"""
