"""Policies: one rule a module, one line in a dict."""
