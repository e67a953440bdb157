import pytest


@pytest.fixture(params=["inline", "processes"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)
