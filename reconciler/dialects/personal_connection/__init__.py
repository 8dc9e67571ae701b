"""The Personal Connection API."""
