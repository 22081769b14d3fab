"""Models side by side on one dataset: predictions, IoU and confidence of every class, logits."""
