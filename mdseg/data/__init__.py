"""From files on disk to batches of images and train ids.

Layouts list files, readers make pixels of them, datasets pair these, streams say which image sits in which slot of
which batch, transforms crop and augment, the data module loads. May import labels and system. What asks a configuration
lies in config; `python -m mdseg.data` is a command.
"""
