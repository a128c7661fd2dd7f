"""The HTML page of a sweep or comparison; `experiments.report` writes it."""
