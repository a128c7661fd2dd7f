"""What every program shares: errors in one line, and flags."""
