"""Bot configurations: immutable, numbered by name."""

from msgspec import structs

from signalbox.domain.configuration import BotConfiguration
from signalbox.domain.errors import NotFoundError
from signalbox.ledger.sessions import ReadSession, WriteSession

_SELECT = """
    SELECT id, name, version, strategy, symbols, quote_amount, max_trades_per_hour, max_daily_spend, recv_window,
           created_at, created_by, mode, safety_enabled, parameters
    FROM bot_configurations
"""


async def insert_next_version(session: WriteSession, configuration: BotConfiguration) -> BotConfiguration:
    """Store a configuration as the next version of its name; returns it with that version."""
    c = configuration
    await session.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"configuration {c.name}")
    version = await session.value(
        int, "SELECT coalesce(max(version), 0) + 1 FROM bot_configurations WHERE name = $1", c.name
    )
    await session.execute(
        """
        INSERT INTO bot_configurations (
            id, name, version, strategy, mode, symbols, quote_amount, max_trades_per_hour, max_daily_spend, recv_window,
            safety_enabled, parameters, created_at, updated_at, created_by
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14)
        """,
        c.id,
        c.name,
        version,
        c.strategy,
        c.mode,
        list(c.symbols),
        c.quote_amount,
        c.max_trades_per_hour,
        c.max_daily_spend,
        c.recv_window,
        c.safety_enabled,
        c.parameters,
        c.created_at,
        c.created_by,
    )
    return structs.replace(c, version=version)


async def configuration(session: ReadSession, name: str, version: int | None = None) -> BotConfiguration:
    """A version of a configuration, the newest when `version` is None. Raises NotFoundError."""
    found = await session.row(
        BotConfiguration,
        _SELECT + "WHERE name = $1 AND ($2::int IS NULL OR version = $2) ORDER BY version DESC LIMIT 1",
        name,
        version,
    )
    if found is None:
        wanted = name if version is None else f"{name}:{version}"
        raise NotFoundError(
            f"There is no configuration {wanted!r}: 'signalbox config list --all' shows every one,"
            " 'signalbox config create' makes one."
        )
    return found


async def list_configurations(session: ReadSession, *, all_versions: bool) -> list[BotConfiguration]:
    """The newest version of each name, or every version, by name and newest first."""
    newest = await session.rows(BotConfiguration, _SELECT + "ORDER BY name, version DESC")
    if all_versions:
        return newest
    seen: dict[str, BotConfiguration] = {}
    for item in newest:
        seen.setdefault(item.name, item)
    return list(seen.values())
