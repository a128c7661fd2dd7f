"""DiMP: a target filter, fitted by steepest descent (Bhat et al. 2019)."""
