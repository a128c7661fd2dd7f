"""Every tracker with every inner optimizer: the cells, their budget, and their results."""
