"""From logits to answers and numbers.

Views of one forward pass, the path from an image to an answer, confusion matrices, the results of a stage and the
tables of them. May import data, figures, labels, pixels and system.
"""
