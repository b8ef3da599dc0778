"""Stored 1-D arrays: spans of them, read to their places in memory."""
