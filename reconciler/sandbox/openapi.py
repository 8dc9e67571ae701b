"""Shared base of both APIs' OpenAPI descriptions: an app that is described by given schemas."""

from __future__ import annotations

from typing import Any, TypeAlias

from fastapi import FastAPI

JSON: TypeAlias = dict[str, Any]


class Described(FastAPI):
    """An app whose `/openapi.json` holds given schemas, because its handlers take whole requests that FastAPI cannot look into.

    Args:
        title, version, description: the `info` object of the OpenAPI document.
        schemas: JSON Schemas by name.
        token: the security scheme of its tokens.
    """

    def __init__(
        self, *, title: str, version: str, description: str, schemas: JSON, token: JSON
    ) -> None:
        super().__init__(
            title=title,
            version=version,
            description=description,
            openapi_url=None,  # our own route adds a Date
            redirect_slashes=False,
        )
        self._components = {"schemas": schemas, "securitySchemes": {"token": token}}

    def openapi(self) -> JSON:
        """Return the description."""
        return super().openapi() | {"components": self._components}
