"""Which probes and which token normalisations there are, for who has no need of PyTorch to say it."""

PROBE_KINDS = ("step", "linear", "attentive", "self_attention", "moments")
"""STEP and its rivals, by the names of their files."""

NORMALIZATIONS = ("none", "layer_norm", "channel")
"""What may be done to tokens first; see `TokenNormalization`."""
