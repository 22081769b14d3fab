"""One LightningModule per method, with one whole `training_step`; what all of them share is in base.

May import evaluation, figures, labels, losses, models, pixels and system. A method gets its objects built and knows no
configuration.
"""
