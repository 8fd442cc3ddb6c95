"""Datasets, one file each: reading, splitting and encoding. A dataset is named by its dotted path in conf/data/."""
