"""The extra `optimize`: packages that only `optimize` and `simulate` need."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from typing import Final

from reconciler.errors import UsageError

PACKAGES: Final = ("numpy", "scipy")
"""What the extra installs."""


def need_optimize(command: str) -> None:
    """Check that the extra is installed, without importing it.

    Args:
        command: the command that needs it.

    Raises:
        UsageError: a package is missing. The message names the pip of this Python: another one might install reconcile itself from a registry.
    """
    if missing := [name for name in PACKAGES if not find_spec(name)]:
        python = shlex.quote(sys.executable or "python")
        raise UsageError(
            f"{command} needs {' and '.join(missing)}: run {python} -m pip install 'cxone-reconcile[optimize]'"
        )
