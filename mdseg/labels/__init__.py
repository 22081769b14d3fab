"""Which classes a dataset annotates (tables), the label space in which one model answers for all of them (spaces), and how
classes of different datasets relate (relations).

May import system.
"""

from mdseg.labels.spaces import EvaluationSpace, LabelSpace, disjoint, listed, union
from mdseg.labels.tables import IGNORE, LabelTable

__all__ = ["IGNORE", "EvaluationSpace", "LabelSpace", "LabelTable", "disjoint", "listed", "union"]
