"""The business, pure: no clock, no network, no database. The same inputs give the same result."""
