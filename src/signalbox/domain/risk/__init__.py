"""Guardrails: one small function per check, and the capacity that reservations are taken from."""
