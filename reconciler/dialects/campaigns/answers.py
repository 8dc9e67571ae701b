"""Error answers of the campaigns API."""

from __future__ import annotations

from reconciler.dialects.calls import Reply


def explain(reply: Reply) -> tuple[str, ...]:
    """Return the message of each field of a 400, or the error code with the scope that a 403 requires."""
    answer = reply.json if isinstance(reply.json, dict) else {}
    errors = answer.get("errors")
    if isinstance(errors, list):
        return tuple(
            f"{item.get('field', '?')}: {item.get('message', '?')}"
            for item in errors
            if isinstance(item, dict)
        )
    scope = f" (scope {answer['required_scope']})" if answer.get("required_scope") else ""
    return (f"{answer['error']}{scope}",) if answer.get("error") else ()
