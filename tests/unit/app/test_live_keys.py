"""Rotation: new credentials are proven before they are used, and nothing ever shows them."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.app.test_secrets import source, write

from signalbox.app.live_keys import MexcKeys
from signalbox.domain.credentials import Credentials
from signalbox.domain.errors import ConfigError, CredentialsRefused, VenueUnavailable


class FakeOrders:
    """As much of MexcOrders as keys need."""

    def __init__(self, credentials: Credentials, world: "World") -> None:
        self.credentials = credentials
        self.world = world
        self.closed = False
        self.tell: Any = None

    def use(self, credentials: Credentials) -> None:
        self.credentials = credentials

    def when_refused(self, tell: Any) -> None:
        self.tell = tell

    async def check_credentials(self) -> None:
        self.world.checked.append(self.credentials.api_secret.reveal())
        if self.world.away:
            raise VenueUnavailable("no route")
        if self.credentials.api_secret.reveal() not in self.world.good:
            raise CredentialsRefused("700002: the secret does not belong to the API key", code="700002")

    async def close(self) -> None:
        self.closed = True


class World:
    """A secrets directory and an exchange that takes some secrets."""

    def __init__(self, directory: Path, variables: dict[str, str] | None = None) -> None:
        self.directory = directory
        self.good = {"first"}
        self.away = False
        self.checked: list[str] = []
        self.made: list[FakeOrders] = []
        self.keys = MexcKeys("main", source(directory, variables), self._connect)  # type: ignore[arg-type]  # a fake

    def _connect(self, credentials: Credentials) -> FakeOrders:
        self.made.append(FakeOrders(credentials, self))
        return self.made[-1]

    def store(self, secret: str) -> None:
        write(self.directory, value=secret)

    @property
    def in_use(self) -> str:
        return self.made[0].credentials.api_secret.reveal()


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.store("first")
    return made


async def test_good_credentials_are_proven_and_used(world: World) -> None:
    proven = await world.keys.prove()
    assert (proven.remark, world.in_use, world.checked) == (None, "first", ["first"])


async def test_a_new_good_secret_replaces_the_one_before_without_a_new_venue(world: World) -> None:
    first = world.keys.open()
    world.store("second")
    world.good = {"second"}
    assert world.keys.changed()
    proven = await world.keys.prove()
    assert proven.orders is first
    assert world.in_use == "second"
    assert world.made[1].closed, "the one that tried it is closed again"
    assert not world.keys.changed()


async def test_a_half_written_change_does_not_stop_a_key_that_still_works(world: World) -> None:
    world.keys.open()
    world.store("half")
    proven = await world.keys.prove()
    assert proven.remark is not None
    assert "the stored credentials are not used: 700002" in proven.remark
    assert world.in_use == "first"
    (world.directory / "main.api_secret").unlink()
    removed = await world.keys.prove()
    assert removed.remark is not None
    assert "has no API secret" in removed.remark


async def test_when_neither_works_the_new_ones_reason_is_told(world: World) -> None:
    world.keys.open()
    world.good = set()
    world.store("second")
    with pytest.raises(CredentialsRefused, match="700002"):
        await world.keys.prove()
    (world.directory / "main.api_secret").unlink()
    with pytest.raises(CredentialsRefused, match="has no API secret"):
        await world.keys.prove()


async def test_missing_ones_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SIGNALBOX_ACCOUNT_MAIN_API_KEY"):
        await World(tmp_path).keys.prove()


async def test_a_venue_that_is_away_proves_nothing_and_changes_nothing(world: World) -> None:
    world.keys.open()
    world.store("second")
    world.away = True
    with pytest.raises(VenueUnavailable):
        await world.keys.prove()
    assert world.in_use == "first"


async def test_a_refusal_says_that_an_environment_does_not_change(tmp_path: Path) -> None:
    variables = {"SIGNALBOX_ACCOUNT_MAIN_API_KEY": "key-env", "SIGNALBOX_ACCOUNT_MAIN_API_SECRET": "secret-env"}
    world = World(tmp_path, variables)
    world.keys.open()
    told: list[str] = []
    world.keys.when_refused(told.append)
    world.made[0].tell(CredentialsRefused("700002: signature", code="700002"))
    with pytest.raises(CredentialsRefused) as refused:
        await world.keys.prove()
    for text in (told[0], str(refused.value)):
        assert "environment SIGNALBOX_ACCOUNT_MAIN_API_KEY" in text
        assert "the environment of a running engine does not change" in text
        assert "secret-env" not in text
        assert "key-env" not in text
