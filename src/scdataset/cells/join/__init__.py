"""Genes, obs columns and names across the files of one collection."""
