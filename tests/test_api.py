"""The Python functions are typed like the command line, and reach a platform in one way."""

import inspect
from pathlib import Path

import pytest

from reconciler import api
from reconciler.errors import UsageError
from reconciler.world import Network

COMMANDS = ["apply", "drift", "halt", "optimize", "plan", "release", "show", "timeline", "validate"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_has_a_name_and_a_type(name: str) -> None:
    parameters = inspect.signature(getattr(api, name)).parameters.values()
    assert all(each.kind is not inspect.Parameter.VAR_KEYWORD for each in parameters)
    assert all(each.annotation not in {inspect.Parameter.empty, "Any"} for each in parameters)


@pytest.mark.parametrize("name", sorted({*COMMANDS} - {"release", "timeline"}))
def test_every_function_that_reaches_a_platform_is_told_how_by_one_value(name: str) -> None:
    parameters = inspect.signature(getattr(api, name)).parameters
    assert parameters["network"].default == Network()
    assert not {*parameters} & {*Network._fields}


def test_a_deadline_that_is_no_number_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / "tenant.yaml").write_text(
        "apiVersion: cxone.reconciler/v1\nkind: Tenant\nspec: {api: campaigns, url: 'sandbox:'}\n"
    )
    network = Network(deadline_s=float("nan"))
    with pytest.raises(UsageError, match="deadline"):
        api.halt(folder, reason="a test", everything=True, network=network)
