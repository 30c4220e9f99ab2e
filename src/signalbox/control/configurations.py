"""Bot configurations: a change makes a new version."""

from decimal import Decimal

from msgspec import Struct

from signalbox.control.context import Control
from signalbox.domain.configuration import (
    BotConfiguration,
    ListingSniperParameters,
    Strategy,
    check_configuration,
)
from signalbox.domain.errors import ConfigError
from signalbox.domain.ids import ConfigurationId
from signalbox.domain.orders import Mode
from signalbox.ledger.queries import configurations as queries


class NewConfiguration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator says of a configuration. Amounts in quote currency, `recv_window` in milliseconds."""

    name: str
    symbols: tuple[str, ...] = ("*USDT",)
    quote_amount: Decimal = Decimal(20)
    max_trades_per_hour: int = 10
    max_daily_spend: Decimal = Decimal(200)
    recv_window: int = 1000
    mode: Mode = Mode.SIMULATION
    safety_enabled: bool = True
    parameters: ListingSniperParameters = ListingSniperParameters()


async def create_configuration(control: Control, new: NewConfiguration) -> BotConfiguration:
    """Store the next version of a name. Raises ConfigError naming field, value and rule."""
    if ":" in new.name:
        raise ConfigError(f"name must not contain ':' (it separates the version), got {new.name!r}")
    draft = BotConfiguration(
        id=ConfigurationId(control.ids.new_id()),
        version=1,
        strategy=Strategy.LISTING_SNIPER,
        created_at=control.clock.now(),
        created_by=control.actor,
        **{name: getattr(new, name) for name in NewConfiguration.__struct_fields__},
    )
    check_configuration(draft)
    async with control.sessions.write() as session:
        stored = await queries.insert_next_version(session, draft)
        await control.record(
            session,
            "config",
            f"configuration {stored.name} version {stored.version} created",
            configuration=stored.name,
            version=stored.version,
            mode=stored.mode,
        )
    return stored


async def list_configurations(control: Control, *, all_versions: bool = False) -> list[BotConfiguration]:
    """The newest version of each name, or all versions."""
    async with control.sessions.read() as session:
        return await queries.list_configurations(session, all_versions=all_versions)


async def show_configuration(control: Control, reference: str) -> BotConfiguration:
    """The configuration that `name` (the newest version) or `name:version` names. Raises NotFoundError."""
    name, version = parse_reference(reference)
    async with control.sessions.read() as session:
        return await queries.configuration(session, name, version)


def parse_reference(reference: str) -> tuple[str, int | None]:
    """`name` or `name:version` in its parts. Raises ConfigError."""
    name, colon, version = reference.rpartition(":")
    if not colon:
        return reference, None
    if not (version.isascii() and version.isdigit() and 0 < int(version) < 2**31):
        raise ConfigError(f"a configuration is named NAME or NAME:VERSION with a version from 1, got {reference!r}")
    return name, int(version)
