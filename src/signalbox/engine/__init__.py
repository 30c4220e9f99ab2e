"""The only place that waits: feeds in, desks decide, dispatch sends, settlement and recovery close the books."""
