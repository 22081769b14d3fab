"""A run is a list of stages.

The plan that builds all of them once and executes them, the stage that fits, the stage that estimates class relations,
and what happens around a training step. May import config, data, evaluation, figures, labels, losses, methods, models,
pixels, runs and system.
"""
