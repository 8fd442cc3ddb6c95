"""A user's own tables: files, rows, cells, and what a table tells the configuration."""
