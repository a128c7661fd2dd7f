"""Campaigns: thousands of damaged inputs, kills and repetitions, whose tables the docs print."""
