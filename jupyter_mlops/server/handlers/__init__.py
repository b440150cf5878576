"""The handlers of the REST API, one domain a file."""
