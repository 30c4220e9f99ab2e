"""Runs: start, stop, and how they are doing. The row itself is the command; a trigger tells the engine."""

from datetime import datetime, timedelta

from msgspec import Struct

from signalbox.control.configurations import parse_reference
from signalbox.control.context import Control
from signalbox.domain.configuration import (
    Account,
    AccountSettings,
    BotConfiguration,
    Strategy,
    Venue,
    effective_mode,
)
from signalbox.domain.errors import ConfigError, ConflictError, NotFoundError
from signalbox.domain.ids import RunId
from signalbox.domain.orders import Mode
from signalbox.domain.runs import Run, RunStatus, StopMode
from signalbox.ledger.queries import account_settings, accounts, configurations, runs
from signalbox.ledger.queries.alerts import AlertRow, list_alerts
from signalbox.ledger.queries.runs import RunRow
from signalbox.ledger.queries.status import HealthRow, StatusRow, health_rows, status_row

HEARTBEAT_ALLOWED = timedelta(seconds=5)
"""A running engine writes a heartbeat every second; one that is older than this looks old."""

_STOP_STRENGTH = (StopMode.ENTRIES, StopMode.CANCEL, StopMode.FLATTEN)


class Overview(Struct, frozen=True, kw_only=True):
    """Runs and what they depend on, at one instant."""

    at: datetime
    system: StatusRow
    health: list[HealthRow]
    runs: list[RunRow]
    alerts: list[AlertRow] = []

    @property
    def engine_is_alive(self) -> bool:
        """True when an engine has told of itself lately."""
        engine = next((row for row in self.health if row.component_name == "engine"), None)
        return (
            engine is not None and engine.status != "stopped" and self.at - engine.updated_at <= 2 * HEARTBEAT_ALLOWED
        )


async def start_bot(control: Control, *, account_label: str, configuration_reference: str) -> RunRow:
    """Ask for a run; the engine takes it from `starting` to `running`.

    Raises NotFoundError, ConflictError when the account has an active run, and ConfigError when live orders would
    lack their credentials.
    """
    name, version = parse_reference(configuration_reference)
    async with control.sessions.write() as session:
        account = await accounts.account_by_label(session, account_label)
        configuration = await configurations.configuration(session, name, version)
        settings = (await account_settings.current_settings(session, account.id)).settings
        mode = _check_start(control, account, configuration, settings)
        active = await runs.active_runs(session, account.id)
        if active:
            raise ConflictError(_active_text(account_label, active[0]))
        run = Run(
            id=RunId(control.ids.new_id()),
            account_id=account.id,
            configuration=configuration,
            status=RunStatus.STARTING,
            operator_id=control.actor,
            started_at=control.clock.now(),
        )
        await runs.insert_run(session, run, code_version=control.code_version)
        await control.record(
            session,
            "trading",
            f"start of {configuration.name}:{configuration.version} on account {account_label} asked for",
            run_id=str(run.id),
            account=account_label,
            mode=mode,
        )
        stored = await runs.run_row(session, run.id)
    if stored is None:
        raise NotFoundError(f"Run {run.id} was not stored.")
    return stored


async def stop_bot(control: Control, *, account_label: str, mode: StopMode = StopMode.ENTRIES) -> RunRow:
    """Ask the account's active run to stop. A second call may ask for more (cancel, flatten), never for less.

    Raises NotFoundError when nothing runs.
    """
    async with control.sessions.write() as session:
        account = await accounts.account_by_label(session, account_label)
        active = await runs.active_runs(session, account.id)
        if not active:
            raise NotFoundError(f"Account {account_label!r} has no active run: there is nothing to stop.")
        run = active[0]
        if run.stop_mode is not None and _STOP_STRENGTH.index(mode) <= _STOP_STRENGTH.index(run.stop_mode):
            return run
        await runs.ask_to_stop(session, run.id, mode)
        await control.record(
            session,
            "trading",
            f"stop ({mode}) of {run.configuration}:{run.version} on account {account_label} asked for",
            run_id=str(run.id),
            account=account_label,
            stop_mode=mode,
        )
        stored = await runs.run_row(session, run.id)
    return stored or run


async def overview(control: Control, *, account_label: str | None = None, limit: int = 10) -> Overview:
    """The state of the system and its latest runs. Raises NotFoundError for an account that there is not."""
    async with control.sessions.read() as session:
        if account_label is not None:
            await accounts.account_by_label(session, account_label)
        return Overview(
            at=control.clock.now(),
            system=await status_row(session),
            health=await health_rows(session),
            runs=await runs.list_runs(session, account=account_label, limit=limit),
            alerts=await list_alerts(session),
        )


async def run_by_id(control: Control, run_id: RunId) -> RunRow:
    """One run. Raises NotFoundError."""
    async with control.sessions.read() as session:
        found = await runs.run_row(session, run_id)
    if found is None:
        raise NotFoundError(f"There is no run {run_id}.")
    return found


async def live_orders_possible(control: Control) -> bool:
    """True when an active run asks for live orders and its account's settings allow them."""
    async with control.sessions.read() as session:
        allowed = {
            row.label for row in await accounts.list_accounts(session) if row.mode is Mode.LIVE and row.auto_trade
        }
        active = await runs.active_runs(session)
    return any(run.mode is Mode.LIVE and run.account in allowed for run in active)


def _check_start(
    control: Control, account: Account, configuration: BotConfiguration, settings: AccountSettings
) -> Mode:
    """The mode in which the run would trade. Raises ConfigError when it cannot."""
    if configuration.strategy is not Strategy.LISTING_SNIPER or account.venue is not Venue.MEXC:
        raise ConfigError(
            f"This version runs {Strategy.LISTING_SNIPER} on {Venue.MEXC}; configuration {configuration.name!r} is"
            f" {configuration.strategy} and account {account.label!r} is on {account.venue}."
        )
    mode = effective_mode(configuration, settings)
    missing = control.credentials.missing(account.label) if mode is Mode.LIVE else None
    if missing is not None:
        raise ConfigError(missing)
    return mode


def _active_text(label: str, run: RunRow) -> str:
    return (
        f"Account {label!r} has an active run already ({run.configuration}:{run.version}, {run.status}):"
        f" stop it first with 'signalbox run stop {label}'."
    )
