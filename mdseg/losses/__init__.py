"""Losses: per-pixel functions, evaluated and differentiated band by band while the logits are upsampled."""
