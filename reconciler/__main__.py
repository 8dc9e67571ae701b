"""The way in: the console script `reconcile`, and `python -m reconciler`."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from types import ModuleType

ALLOCATIONS = 500_000
"""Objects between two looks of the cyclic collector. A command makes few cycles and ends soon; at the usual 700 it would
walk all that was loaded again and again, which doubles the time of validating ten thousand manifests."""

PLUGINS = "pydantic.plugin._loader"
"""Where pydantic looks through every installed package for one that has a say in what models accept. Here none has."""


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(ALLOCATIONS)
    _use_no_plugins()
    from reconciler.cli import run  # noqa: PLC0415 - importing it is half the work of `--help`

    code = run()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # either may be closed
        with suppress(OSError):  # or full, or read by nobody; what was to be said of that was said
            stream.flush()
    # What is left is to free all memory piece by piece, which the system does at once.
    os._exit(code)


def _use_no_plugins() -> None:
    """Stand in for pydantic's lookup of plugins.

    Its own switch stops the looking, but not the import of what it would look with, `importlib.metadata` and half of
    `email`: nearly twice a bare interpreter. Whatever else some version of pydantic wants of that module, it gets from the
    real one, for which the switch is set, too.
    """
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    lookup = ModuleType(PLUGINS)
    vars(lookup).update(get_plugins=tuple, __getattr__=_of_the_real_one)
    sys.modules[PLUGINS] = lookup


def _of_the_real_one(name: str) -> object:
    if name.startswith("__"):  # the import system asks every module for its path
        raise AttributeError(name)
    from importlib import import_module  # noqa: PLC0415 - most likely never called

    sys.modules.pop(PLUGINS, None)
    return getattr(import_module(PLUGINS), name)


if __name__ == "__main__":
    main()
