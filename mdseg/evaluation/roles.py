"""A dataset's part in the evaluation; imports nothing, so that a command line is checked before torch is loaded."""

EVALUATION_ROLES = ("seen", "unseen", "target")
