"""XGBoost over features that were binned to whole numbers: the same bytes on any number of machines."""
