"""Bytes: fetching, cache, progress, the rows of users' tables."""
