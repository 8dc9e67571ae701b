"""The campaigns API."""
