"""Feature extractors, and the readers of their published weights."""
