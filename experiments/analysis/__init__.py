"""From scores to statements: intervals, rankings, differences, published results."""
