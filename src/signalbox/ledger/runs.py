"""Runs as the engine moves them on."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from signalbox.domain.errors import ConflictError, FencedOut, NotFoundError
from signalbox.domain.ids import RunId
from signalbox.domain.runs import Run, RunStatus
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
    AND ($5::bigint IS NULL OR $5 = (SELECT fence FROM account_ownership o WHERE o.account_id = bot_runs.account_id))
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

    async def set_run_status(
        self,
        run_id: RunId,
        new: RunStatus,
        *,
        at: datetime,
        error_message: str | None = None,
        fence: int | None = None,
    ) -> None:
        """Move a run on. Repeating it changes nothing. Raises NotFoundError, ConflictError for an illegal change, and
        FencedOut when `fence` is not the account's number any more."""
        async with self._database.transaction() as connection:
            try:
                touched = await connection.execute(_SET_STATUS, run_id, new, at, error_message, fence)
            except asyncpg.CheckViolationError as error:
                raise ConflictError(str(error)) from error
        if touched == "UPDATE 0":
            run = await self.run(run_id)
            if run.status is not new:
                raise FencedOut(f"run {run_id} belongs to another engine now: account {run.account_id} was taken over")

    async def heartbeat(self, run_ids: Sequence[RunId], at: datetime) -> None:
        """These runs are alive."""
        await self._database.execute(
            "UPDATE bot_runs SET last_heartbeat = greatest(last_heartbeat, $2, started_at)"
            " WHERE id = ANY ($1) AND status IN ('starting', 'running', 'stopping')",
            list(run_ids),
            at,
        )
