"""Renderers: one format a module, one line in a dict."""
