"""Every tracker with every inner optimizer: the trials, their budget, and their results."""
