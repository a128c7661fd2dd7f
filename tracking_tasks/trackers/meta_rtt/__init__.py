"""MetaRTT: a classifier of box features, adapted by learned rates (Jung et al. 2020)."""
