"""The life of a run: one life of a bot with a frozen configuration."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from signalbox.domain.configuration import BotConfiguration
from signalbox.domain.errors import InvariantError
from signalbox.domain.ids import AccountId, RunId


class RunStatus(StrEnum):
    """starting → running → stopping → stopped; any of the first three may fail."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


ACTIVE_STATUSES = frozenset({RunStatus.STARTING, RunStatus.RUNNING, RunStatus.STOPPING})

RUN_TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.STARTING: frozenset({RunStatus.RUNNING, RunStatus.STOPPING, RunStatus.FAILED}),
    RunStatus.RUNNING: frozenset({RunStatus.STOPPING, RunStatus.FAILED}),
    RunStatus.STOPPING: frozenset({RunStatus.STOPPED, RunStatus.FAILED}),
    RunStatus.STOPPED: frozenset(),
    RunStatus.FAILED: frozenset(),
}


class StopMode(StrEnum):
    """What a stop does: end entries only, also cancel open orders, or also sell what is held."""

    ENTRIES = "entries"
    CANCEL = "cancel"
    FLATTEN = "flatten"


class Run(Struct, frozen=True, kw_only=True):
    """One life of a bot. Times are UTC."""

    id: RunId
    account_id: AccountId
    configuration: BotConfiguration
    status: RunStatus
    operator_id: str
    started_at: datetime
    stopped_at: datetime | None = None
    last_heartbeat: datetime | None = None
    error_message: str | None = None
    stop_mode: StopMode | None = None


def check_run_transition(old: RunStatus, new: RunStatus) -> None:
    """Raise InvariantError when a run may not go from `old` to `new`."""
    if new not in RUN_TRANSITIONS[old]:
        raise InvariantError(f"a run cannot go from {old} to {new}")
