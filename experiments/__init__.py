"""Programs: `python -m experiments.<name> --help` says what each does."""
