"""Runs: what the engine does with them, and what operators do."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from signalbox.domain.errors import ConflictError, NotFoundError
from signalbox.domain.ids import AccountId, RunId
from signalbox.domain.runs import Run, RunStatus, StopMode
from signalbox.ledger.database import Database
from signalbox.ledger.rows import run_from

# A run that stops in the instant in which it started (or by a clock that went back) still ends after it began.
_SET_STATUS = """
UPDATE bot_runs SET
    status = $2,
    error_message = coalesce($4, error_message),
    last_heartbeat = greatest($3, last_heartbeat, started_at),
    stopped_at = CASE WHEN $2 IN ('stopped', 'failed')
        THEN greatest($3, started_at + interval '1 microsecond') END
WHERE id = $1 AND status <> $2
"""


class Runs:
    """Reads and state changes of runs. The database itself refuses an illegal change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def runs_to_act_on(self) -> Sequence[Run]:
        """Runs that are starting, running or stopping, oldest first."""
        rows = await self._database.fetch(
            "SELECT * FROM bot_runs WHERE status IN ('starting', 'running', 'stopping') ORDER BY started_at, id"
        )
        return [run_from(row) for row in rows]

    async def run(self, run_id: RunId) -> Run:
        """One run. Raises NotFoundError."""
        row = await self._database.fetchrow("SELECT * FROM bot_runs WHERE id = $1", run_id)
        if row is None:
            raise NotFoundError(f"There is no run {run_id}.")
        return run_from(row)

    async def recent_runs(self, limit: int = 50) -> Sequence[Run]:
        """The newest runs first."""
        rows = await self._database.fetch("SELECT * FROM bot_runs ORDER BY started_at DESC, id DESC LIMIT $1", limit)
        return [run_from(row) for row in rows]

    async def start_run(self, run: Run, *, code_version: str) -> None:
        """Ask for a run: it begins as `starting`. Raises ConflictError when the account has an active one already."""
        try:
            await self._database.execute(
                "INSERT INTO bot_runs (id, account_id, configuration_id, strategy, started_at, operator_id,"
                " configuration_snapshot, code_version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                run.id,
                run.account_id,
                run.configuration.id,
                run.configuration.strategy,
                run.started_at,
                run.operator_id,
                run.configuration,
                code_version,
            )
        except ConflictError:
            active = await self._active(run.account_id, run.configuration.strategy)
            raise ConflictError(
                f"A {run.configuration.strategy} run is active on this account already: {active}. Stop it first."
            ) from None

    async def request_stop(self, run_id: RunId, mode: StopMode, *, at: datetime) -> None:
        """Ask a run to stop; the engine does it. A run that is stopping already keeps the stronger mode.

        Raises NotFoundError, or ConflictError when the run has ended.
        """
        touched = await self._database.execute(
            "UPDATE bot_runs SET status = 'stopping', last_heartbeat = greatest(last_heartbeat, $3, started_at),"
            " stop_mode = CASE WHEN array_position($4::text[], stop_mode) > array_position($4::text[], $2)"
            " THEN stop_mode ELSE $2 END"
            " WHERE id = $1 AND status IN ('starting', 'running', 'stopping')",
            run_id,
            mode,
            at,
            list(StopMode),
        )
        if not touched:
            run = await self.run(run_id)
            raise ConflictError(f"Run {run_id} is {run.status} already.")

    async def set_run_status(
        self, run_id: RunId, new: RunStatus, *, at: datetime, error_message: str | None = None
    ) -> None:
        """Move a run on. Repeating it changes nothing. Raises NotFoundError, ConflictError for an illegal change."""
        async with self._database.transaction() as connection:
            try:
                touched = await connection.execute(_SET_STATUS, run_id, new, at, error_message)
            except asyncpg.CheckViolationError as error:
                raise ConflictError(str(error)) from error
        if touched == "UPDATE 0":
            await self.run(run_id)

    async def heartbeat(self, run_ids: Sequence[RunId], at: datetime) -> None:
        """These runs are alive."""
        await self._database.execute(
            "UPDATE bot_runs SET last_heartbeat = greatest(last_heartbeat, $2, started_at)"
            " WHERE id = ANY ($1) AND status IN ('starting', 'running', 'stopping')",
            list(run_ids),
            at,
        )

    async def _active(self, account_id: AccountId, strategy: str) -> object:
        row = await self._database.fetchrow(
            "SELECT id FROM bot_runs WHERE account_id = $1 AND strategy = $2"
            " AND status IN ('starting', 'running', 'stopping')",
            account_id,
            strategy,
        )
        return row["id"] if row else "it has just ended"
