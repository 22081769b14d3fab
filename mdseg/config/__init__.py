"""From a command line to configuration, and from configuration to objects.

Composing, keys, descriptors of datasets, paths, building, rows of the papers' tables and their published values, what
commands say. May import data, evaluation, labels and system. Methods, runs and stages are built by stages, which reads
more than keys.
"""
