"""Wiring: reads the environment, builds the real adapters, starts and stops the processes."""
