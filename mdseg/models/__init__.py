"""Segmentation networks: a backbone with one feature map, and a classifier over it."""
