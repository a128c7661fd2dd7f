"""What stands on a backbone: filters, classifiers, predictors."""
