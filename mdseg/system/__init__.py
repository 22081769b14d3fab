"""The ground under everything: files written so that nobody sees half of one, signals, ranks, devices, wording.

What things may be called (names), and YAML of users (documents).

Imports nothing of mdseg.
"""
