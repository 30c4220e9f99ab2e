"""Closing the books: settlement, recovery, and the comparison with the exchange."""
