"""A test marked `namespace` here runs in a thread of its own with a fresh network namespace, which dies with it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from tests.namespaces import NamespaceRefused, enter_new_namespace


def _run(body: Callable[[], object]) -> None:
    raised: list[BaseException] = []
    refused: list[NamespaceRefused] = []

    def thread() -> None:
        try:
            enter_new_namespace()
        except NamespaceRefused as error:
            refused.append(error)
            return
        try:
            body()
        except BaseException as error:
            raised.append(error)

    runner = threading.Thread(target=thread)
    runner.start()
    runner.join()
    if refused:
        pytest.skip(str(refused[0]))
    if raised:
        raise raised[0]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if pyfuncitem.get_closest_marker("namespace") is None:
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    _run(lambda: pyfuncitem.obj(**arguments))
    return True
