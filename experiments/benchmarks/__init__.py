"""The suites of `experiments.benchmark`, one a file, and what they share."""
