"""Ordinary reads and writes by subject. Each function runs inside the caller's session."""
