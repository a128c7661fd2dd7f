"""What programs need whatever they learn: errors, files, checkpoints, figures.

Knows nothing of learning or of tracking, so that everything but the core may build on it.
"""
