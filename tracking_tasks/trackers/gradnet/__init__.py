"""GradNet: a template, updated by a network that reads its gradient (Li et al. 2019)."""
