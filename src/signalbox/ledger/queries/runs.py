"""Runs: the command to start or stop is the state of the row itself."""

from datetime import datetime

import asyncpg
from msgspec import Struct

from signalbox.domain.configuration import Strategy
from signalbox.domain.errors import ConflictError
from signalbox.domain.ids import AccountId, RunId
from signalbox.domain.orders import Mode
from signalbox.domain.runs import Run, RunStatus, StopMode
from signalbox.ledger.sessions import ReadSession, WriteSession


class RunRow(Struct, frozen=True, kw_only=True):
    """A run as a list shows it. `mode` is what its configuration asks for."""

    id: RunId
    account: str
    configuration: str
    version: int
    strategy: Strategy
    mode: Mode
    status: RunStatus
    started_at: datetime
    stopped_at: datetime | None
    last_heartbeat: datetime | None
    operator_id: str
    error_message: str | None
    stop_mode: StopMode | None


_SELECT = """
    SELECT r.id, a.label AS account, c.name AS configuration, c.version, r.strategy, c.mode, r.status, r.started_at,
           r.stopped_at, r.last_heartbeat, r.operator_id, r.error_message, r.stop_mode
    FROM bot_runs AS r
    JOIN accounts AS a ON a.id = r.account_id
    JOIN bot_configurations AS c ON c.id = r.configuration_id
"""


async def insert_run(session: WriteSession, run: Run, *, code_version: str) -> None:
    """Store a run that is starting. Raises ConflictError when the account has an active one already."""
    try:
        await session.execute(
            """
            INSERT INTO bot_runs (
                id, account_id, configuration_id, strategy, status, started_at, operator_id, configuration_snapshot,
                code_version
            ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            run.id,
            run.account_id,
            run.configuration.id,
            run.configuration.strategy,
            run.status,
            run.started_at,
            run.operator_id,
            run.configuration,
            code_version,
        )
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == "uq_bot_runs_active":
            raise ConflictError("The account has an active run already; stop it first.") from error
        raise


async def ask_to_stop(session: WriteSession, run_id: RunId, mode: StopMode) -> None:
    """Move an active run to `stopping`, or change how a stopping one ends."""
    await session.execute(
        """
        UPDATE bot_runs SET status = 'stopping', stop_mode = $2
        WHERE id = $1 AND status IN ('starting', 'running', 'stopping')
        """,
        run_id,
        mode,
    )


async def active_runs(session: ReadSession, account_id: AccountId | None = None) -> list[RunRow]:
    """Runs that are starting, running or stopping."""
    return await session.rows(
        RunRow,
        _SELECT
        + "WHERE r.status IN ('starting', 'running', 'stopping') AND ($1::uuid IS NULL OR r.account_id = $1)"
        + " ORDER BY r.started_at",
        account_id,
    )


async def run_row(session: ReadSession, run_id: RunId) -> RunRow | None:
    """One run, None when there is no such."""
    return await session.row(RunRow, _SELECT + "WHERE r.id = $1", run_id)


async def list_runs(session: ReadSession, *, account: str | None, limit: int) -> list[RunRow]:
    """Runs, newest first."""
    return await session.rows(
        RunRow,
        _SELECT + "WHERE ($1::text IS NULL OR a.label = $1) ORDER BY r.started_at DESC, r.id DESC LIMIT $2",
        account,
        limit,
    )
