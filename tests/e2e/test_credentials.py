"""G4, end to end: the exchange stops taking the credentials while a bot trades."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.world import World, open_world

KEPT = ("--take-profit", "0.10", "--stop-loss", "none", "--time-limit-s", "none")


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database_url, tmp_path) as opened:
        yield opened


def store_secret(world: World, key: str, secret: str) -> None:
    """Credentials in files, as a running engine can read them anew."""
    folder = world.folder / "secrets"
    folder.mkdir(exist_ok=True)
    (folder / "main.api_key").write_text(f"{key}\n")
    (folder / "main.api_secret").write_text(f"{secret}\n")
    for part in ("KEY", "SECRET"):
        world.environment.pop(f"SIGNALBOX_ACCOUNT_MAIN_API_{part}", None)
    world.environment["SIGNALBOX_SECRETS_DIR"] = str(folder)


async def alerts(world: World, kind: str, *, over: bool = False) -> list[Any]:
    state = "NOT NULL" if over else "NULL"
    return await world.rows(f"SELECT * FROM alerts WHERE kind = $1 AND resolved_at IS {state}", kind)  # noqa: S608 - constant


async def until_alert(world: World, kind: str, *, over: bool = False) -> Any:
    async def found() -> list[Any]:
        return await alerts(world, kind, over=over)

    return (await world.eventually(found, f"an alert {kind} is {'over' if over else 'open'}"))[0]


async def everything_written(world: World) -> str:
    """All text that the bot left behind: the log, and every row of every table."""
    texts = [(world.folder / "engine.log").read_text()]
    for row in await world.rows("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"):
        rows = await world.rows(f'SELECT to_jsonb(t)::text AS text FROM "{row["name"]}" AS t')  # noqa: S608 - a table
        texts += [found["text"] for found in rows]
    return "\n".join(texts)


async def test_g4_a_key_that_is_rotated_while_a_position_is_held(world: World) -> None:
    """Entries stop at once, the exit goes on being tried, and the new secret's file puts everything right."""
    first = world.exchange.accounts[0]
    key, old, new = str(first["api_key"]), str(first["secret"]), "freshSecretThatNobodyMaySee0042"
    store_secret(world, key, old)
    await world.prepare(*KEPT)
    await world.start_engine()
    await world.command("run", "start", "main", "main")
    await world.list_now("HELDUSDT", price="0.5", path="flat")
    await world.eventually_order("HELDUSDT", "buy", "filled")

    await world.control("accounts", label="main", secret=new)
    await world.list_now("REFUSEDUSDT")
    refused = await world.eventually_order("REFUSEDUSDT", "buy", "rejected")
    assert refused["error_code"] == "700002"
    alert = await until_alert(world, "credentials")
    assert (alert["severity"], alert["subject"]) == ("critical", "main")
    assert "the secret does not belong to the API key" in alert["message"]
    assert "signalbox account validate main" in alert["message"]

    await world.list_now("BLOCKEDUSDT")
    blocked = await world.eventually_order("BLOCKEDUSDT", "buy", "rejected")
    assert (blocked["error_code"], "credentials" in blocked["error_reason"]) == ("SAFETY_CONSTRAINT", True)
    assert await world.sent_orders("BLOCKEDUSDT") == []
    shown = await world.command("run", "status")
    assert "CRITICAL credentials main" in shown
    assert "credentials:main: degraded" in shown
    assert "order_blocked main: credentials" in shown
    assert await world.value("SELECT status FROM bot_runs") == "running"
    account = (await world.read("account", "list"))[0]["account"]
    assert "700002" in account["last_error"]

    await world.control("prices", symbol="HELDUSDT", price="0.6")
    tried = await world.eventually(lambda: sells(world, "rejected"), "the exit is tried")
    assert tried[0]["error_code"] == "700002"
    assert "700002" in await world.command("account", "validate", "main", expect=1)

    store_secret(world, key, new)
    await until_alert(world, "credentials", over=True)
    await world.eventually(lambda: sells(world, "filled"), "the exit went through")
    await world.list_now("AGAINUSDT")
    await world.eventually_order("AGAINUSDT", "buy", "filled")
    assert "they may trade" in await world.command("account", "validate", "main")
    account = (await world.read("account", "list"))[0]["account"]
    assert account["last_error"] is None
    assert account["validated_at"] is not None

    written = await everything_written(world)
    assert old not in written
    assert new not in written
    assert key not in written
    assert "REFUSEDUSDT" in written, "there is something to look through"


async def test_g4_a_permission_is_taken_away_and_given_back(world: World) -> None:
    """What is put right at the exchange shows nowhere else: the operator says when to look again."""
    await world.prepare(*KEPT)
    await world.start_engine()
    await world.command("run", "start", "main", "main")
    await world.control("accounts", label="main", permissions=["SPOT_ACCOUNT_READ", "SPOT_DEAL_READ"])
    await world.list_now("REFUSEDUSDT")
    assert (await world.eventually_order("REFUSEDUSDT", "buy", "rejected"))["error_code"] == "700007"
    alert = await until_alert(world, "credentials")
    assert "SPOT_DEAL_WRITE" in alert["message"]
    assert "the environment of a running engine does not change" in alert["message"]
    refused = await world.command("account", "validate", "main", expect=1)
    assert "SPOT_DEAL_WRITE" in refused

    all_permissions = ["SPOT_ACCOUNT_READ", "SPOT_DEAL_READ", "SPOT_DEAL_WRITE"]
    await world.control("accounts", label="main", permissions=all_permissions)
    assert "they may trade" in await world.command("account", "validate", "main")
    assert await alerts(world, "credentials") == []
    await world.list_now("AGAINUSDT")
    await world.eventually_order("AGAINUSDT", "buy", "filled")


async def test_g4_a_start_with_credentials_that_the_exchange_refuses(world: World) -> None:
    """The run fails with the exchange's word and what to do; with the right secret the next start works."""
    first = world.exchange.accounts[0]
    store_secret(world, str(first["api_key"]), "notTheSecretOfThisKey")
    await world.prepare(*KEPT)
    await world.start_engine()
    refused = await world.command("run", "start", "main", "main", expect=1)
    assert "700002" in refused
    assert "the secret does not belong to the API key" in " ".join(refused.split())
    store_secret(world, str(first["api_key"]), str(first["secret"]))
    await world.command("run", "start", "main", "main")
    assert await alerts(world, "credentials") == []


async def test_g4_credentials_that_come_after_the_engine(world: World) -> None:
    """An engine that found none at first needs no restart."""
    first = world.exchange.accounts[0]
    store_secret(world, "", "")
    await world.prepare(*KEPT)
    await world.start_engine()
    missing = await world.command("account", "validate", "main", expect=1)
    assert "main.api_secret" in missing
    store_secret(world, str(first["api_key"]), str(first["secret"]))
    await world.command("run", "start", "main", "main")
    await world.list_now("NEWUSDT")
    await world.eventually_order("NEWUSDT", "buy", "filled")


async def sells(world: World, status: str) -> list[Any]:
    return await world.rows("SELECT * FROM trade_orders WHERE side = 'sell' AND status = $1", status)
