"""A view of the results in MLflow; the files stay their home.

A run a mode, the runs of its cells below it, and the recommended mode's model in the registry.
"""

from specnorm.tracking.champion import register
from specnorm.tracking.runs import sync
from specnorm.tracking.store import Store, database

__all__ = ["Store", "database", "register", "sync"]
