"""What a run leaves behind: its folder, checkpoints and the models read back from them, its log and its dashboard.

May import config, evaluation, figures, labels, models and system.
"""
