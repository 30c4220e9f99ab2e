"""An order's way: entries and their attempts, openings waited for, the pace, the dispatch."""
