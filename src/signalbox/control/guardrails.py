"""The guardrails of an account, and the kill switch over all accounts."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

from msgspec import Struct, structs

from signalbox.control.context import Control
from signalbox.domain.alerts import Alert, Severity
from signalbox.domain.configuration import AccountSettings, check_settings
from signalbox.domain.errors import ConfigError, ConflictError
from signalbox.domain.money import plain
from signalbox.ledger.queries import account_settings, accounts, alerts, status
from signalbox.ledger.queries.account_settings import SettingsVersion
from signalbox.ledger.queries.status import StatusRow

KILL_SWITCH = "kill_switch"
EVERY_ACCOUNT = "all accounts"
"""Kind and subject of the alert that stands while the kill switch is on."""


class KillSwitchMode(StrEnum):
    """What the kill switch does beyond blocking entries: cancel orders, sell what is held, or stop exits as well."""

    BLOCK = "block"
    CANCEL = "cancel"
    FLATTEN = "flatten"
    FREEZE = "freeze"


class AccountGuardrails(Struct, frozen=True, kw_only=True):
    """The present settings of an account and those before them, newest first."""

    account: str
    current: SettingsVersion
    history: list[SettingsVersion]


CHANGEABLE = tuple(name for name in AccountSettings.__struct_fields__ if name not in {"account_id", "version"})
"""The settings that an operator may change, by name."""


async def show_settings(control: Control, account_label: str, *, history: int = 10) -> AccountGuardrails:
    """The settings of an account with their history. Raises NotFoundError."""
    async with control.sessions.read() as session:
        account = await accounts.account_by_label(session, account_label)
        return AccountGuardrails(
            account=account_label,
            current=await account_settings.current_settings(session, account.id),
            history=await account_settings.settings_history(session, account.id, history),
        )


async def change_settings(
    control: Control, account_label: str, changes: Mapping[str, Any], *, expected_version: int | None = None
) -> SettingsVersion:
    """Replace some settings of an account by a new version.

    Raises ConfigError naming field, value and rule, and ConflictError when the settings are no longer at
    `expected_version` (None: whatever is current), so that nobody overwrites a change that he has not seen.
    """
    unknown = sorted(set(changes) - set(CHANGEABLE))
    if unknown:
        raise ConfigError(f"{unknown[0]} is not a setting; known: {', '.join(CHANGEABLE)}")
    now = control.clock.now()
    async with control.sessions.write() as session:
        account = await accounts.account_by_label(session, account_label)
        before = (await account_settings.current_settings(session, account.id)).settings
        if expected_version is not None and before.version != expected_version:
            raise ConflictError(_changed_text(account_label, expected_version, before.version))
        after = structs.replace(before, **changes)
        changed = [name for name in CHANGEABLE if getattr(before, name) != getattr(after, name)]
        if not changed:
            return await account_settings.current_settings(session, account.id)
        after = structs.replace(after, version=before.version + 1)
        check_settings(after)
        if not await account_settings.replace_settings(session, after, at=now, author=control.actor):
            raise ConflictError(_changed_text(account_label, before.version, before.version + 1))
        await control.record(
            session,
            "config",
            f"settings of account {account_label} changed: {', '.join(changed)}",
            account=account_label,
            version=after.version,
            changes={name: [_text(getattr(before, name)), _text(getattr(after, name))] for name in changed},
        )
        return await account_settings.current_settings(session, account.id)


async def kill_switch_on(control: Control, *, mode: KillSwitchMode, reason: str) -> StatusRow:
    """Block new orders of every account at once; `mode` may do more. Raises ConfigError without a reason."""
    _require_reason(reason)
    async with control.sessions.write() as session:
        await status.throw_kill_switch(
            session, mode=mode, reason=reason.strip(), by=control.actor, at=control.clock.now()
        )
        await control.record(
            session, "trading", f"kill switch on ({mode}): {reason.strip()}", level="warning", mode=mode
        )
        await alerts.raise_alert(
            session,
            Alert(
                kind=KILL_SWITCH,
                subject=EVERY_ACCOUNT,
                severity=Severity.CRITICAL,
                message=f"the kill switch is on ({mode}), thrown by {control.actor}: {reason.strip()}",
                at=control.clock.now(),
                details={"mode": mode, "by": control.actor},
            ),
        )
        return await status.status_row(session)


async def kill_switch_off(control: Control, *, reason: str) -> StatusRow:
    """Lift the kill switch; only this command does. Raises ConflictError when it is off, ConfigError without reason."""
    _require_reason(reason)
    async with control.sessions.write() as session:
        if not (await status.status_row(session)).kill_switch:
            raise ConflictError("The kill switch is off already: nothing to lift.")
        await status.lift_kill_switch(session, reason=reason.strip(), by=control.actor, at=control.clock.now())
        await control.record(session, "trading", f"kill switch off: {reason.strip()}", level="warning")
        over = f"lifted by {control.actor}: {reason.strip()}"
        await alerts.resolve_alert(session, KILL_SWITCH, EVERY_ACCOUNT, reason=over, at=control.clock.now())
        return await status.status_row(session)


async def kill_switch_status(control: Control) -> StatusRow:
    """How the kill switch stands, since when and by whom."""
    async with control.sessions.read() as session:
        return await status.status_row(session)


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise ConfigError("reason must not be empty: it is what others will read in the ledger")


def _changed_text(label: str, expected: int, found: int) -> str:
    return (
        f"The settings of account {label!r} are at version {found}, not {expected}: somebody changed them."
        f" Look at 'signalbox settings show {label}' and repeat your change."
    )


def _text(value: object) -> object:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {name: _text(item) for name, item in value.items()}
    return value
