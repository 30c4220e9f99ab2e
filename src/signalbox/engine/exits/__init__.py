"""Selling by plan: prices, verdicts, sales."""
