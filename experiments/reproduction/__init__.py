"""The papers' tables: where rows are trained and judged, and what is said of them."""
