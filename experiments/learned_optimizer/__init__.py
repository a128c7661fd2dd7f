"""A learned optimizer for everyone's network: its tasks, its meta-training, and its table."""
