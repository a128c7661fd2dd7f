"""Convolutions, correlations and pooling of regions, in forms that are fast on a CPU too."""
