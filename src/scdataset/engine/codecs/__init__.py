"""Stored bytes of a chunk to its elements."""
