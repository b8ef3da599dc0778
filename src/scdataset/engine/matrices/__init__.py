"""Rows of stored matrices, in any order."""
