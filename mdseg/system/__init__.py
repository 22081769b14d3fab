"""The ground under everything: files written so that nobody sees half of one, signals, ranks, devices, wording.

Imports nothing of mdseg.
"""
