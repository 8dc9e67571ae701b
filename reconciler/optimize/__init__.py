"""Optimisers: one strategy a module, one line in a dict."""
