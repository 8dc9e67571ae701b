"""Manifests on disk: YAML to models with file, line and column; edits that keep comments and order."""

from __future__ import annotations

from reconciler.manifests.folders import TenantFolder, find_tenants
from reconciler.manifests.loading import Folder, load, load_tenant

__all__ = ["Folder", "TenantFolder", "find_tenants", "load", "load_tenant"]
