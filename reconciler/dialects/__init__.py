"""API dialects: one module each, one line in a dict."""
