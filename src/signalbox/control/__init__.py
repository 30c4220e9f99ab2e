"""What operators can do and see: the use cases that the command line and the HTTP API share."""
