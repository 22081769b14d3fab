"""Multi-label maps: where models see classes that the image's dataset does not annotate."""
