"""DSLT: regression on two levels of features with shrinkage loss (Lu et al. 2018)."""
