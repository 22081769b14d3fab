"""Classes: which ones a dataset annotates, and in which space one model answers for all datasets.

In tables, the classes of one dataset (in documents, what YAML says of them); in spaces, those of a model; in relations,
how classes of different datasets relate. May import system.
"""

from mdseg.labels.spaces import EvaluationSpace, LabelSpace, disjoint, listed, union
from mdseg.labels.tables import IGNORE, LabelTable

__all__ = ["IGNORE", "EvaluationSpace", "LabelSpace", "LabelTable", "disjoint", "listed", "union"]
