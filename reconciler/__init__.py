"""GitOps reconciler for outbound campaign schedules on NICE CXone. The documented Python face is `reconciler.api`."""

from reconciler._version import __version__

__all__ = ["__version__"]
