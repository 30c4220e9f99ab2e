"""The exchange's books beside the ledger's: every difference is a sentence."""

from collections import Counter, defaultdict
from decimal import Decimal

from tests.e2e.world import World

ZERO = Decimal(0)
FIRST_BALANCE = Decimal(10_000)


async def books_differ(world: World) -> list[str]:
    """What does not agree between the ledger's orders and positions and the exchange's, as sentences."""
    return [*await _orders_differ(world), *await _balances_differ(world), *await _left_open(world)]


async def differences(world: World) -> list[str]:
    """What does not agree, the chain of records included; nothing when all is as it should be."""
    found = await books_differ(world)
    if "Every row is as it was written" not in await world.command("audit", "verify"):
        found.append("the chain does not verify")
    return found


async def at_rest(world: World) -> bool:
    """Nothing is on its way, every position is sold, and no run is on."""
    busy = await world.value(
        "SELECT EXISTS (SELECT FROM trade_orders WHERE status IN ('pending', 'submitted'))"
        " OR EXISTS (SELECT FROM positions WHERE status = 'open')"
        " OR EXISTS (SELECT FROM reservations WHERE state = 'held')"
        " OR EXISTS (SELECT FROM intent_journal)"
        " OR EXISTS (SELECT FROM bot_runs WHERE status IN ('starting', 'running', 'stopping'))"
    )
    return not busy


async def _orders_differ(world: World) -> list[str]:
    requests = {request["client_order_id"]: request for request in await world.sent_orders()}
    taken = {order["clientOrderId"]: order for order in await world.exchange_orders()}
    known = {row["client_order_id"]: row for row in await world.rows("SELECT * FROM trade_orders")}
    found = []
    arrivals = Counter(request["client_order_id"] for request in await world.sent_orders())
    found += [f"{name} was sent {times} times" for name, times in arrivals.items() if times > 1]
    found += [f"the exchange received {name}, the ledger does not have it" for name in requests.keys() - known.keys()]
    for name, row in known.items():
        order, symbol = taken.get(name), row["symbol"]
        if row["submitted_at"] is None and order is not None:
            found.append(f"{symbol} {name} is {row['status']} in the ledger and was never sent; the exchange took it")
        if row["submitted_at"] is not None and name not in requests:
            found.append(f"{symbol} {name} is {row['status']} in the ledger; the exchange never received it")
        executed = Decimal(order["executedQty"]) if order else ZERO
        if (row["executed_quantity"] or ZERO) != executed:
            found.append(f"{symbol} {name}: {row['executed_quantity']} in the ledger, {executed} at the exchange")
        if (row["status"] == "filled") != (executed > 0):
            found.append(f"{symbol} {name} is {row['status']} and {executed} of it was executed")
    bought = Counter(
        order["symbol"] for order in taken.values() if order["side"] == "BUY" and Decimal(order["executedQty"]) > 0
    )
    found += [f"{symbol} was bought {times} times" for symbol, times in bought.items() if times > 1]
    return found


async def _balances_differ(world: World) -> list[str]:
    balances = _balances(world)
    flows: dict[str, Decimal] = defaultdict(Decimal)
    for fill in await world.rows("SELECT * FROM fills WHERE replaced_at IS NULL"):
        sign = 1 if fill["side"] == "buy" else -1
        flows[fill["symbol"].removesuffix("USDT")] += sign * fill["quantity"]
        flows["USDT"] -= sign * fill["quote_quantity"]
        flows[fill["fee_asset"]] -= fill["fee"]
    flows["USDT"] += FIRST_BALANCE
    found = [
        f"{asset}: {balances.get(asset, ZERO)} at the exchange, {flow} by the ledger's fills"
        for asset, flow in flows.items()
        if balances.get(asset, ZERO) != flow
    ]
    held = {row["symbol"]: row["held"] for row in await world.rows(_HELD)}
    for symbol, quantity in held.items():
        if quantity != balances.get(symbol.removesuffix("USDT"), ZERO):
            found.append(f"{symbol}: the ledger's positions hold {quantity}, the exchange says otherwise")
    return found


_HELD = "SELECT symbol, sum(quantity) AS held FROM positions GROUP BY symbol"


async def _left_open(world: World) -> list[str]:
    found = []
    for what, query in {
        "orders without an end": "SELECT count(*) FROM trade_orders WHERE status IN ('pending', 'submitted')",
        "orders whose outcome is unknown": "SELECT count(*) FROM trade_orders WHERE unknown_since IS NOT NULL",
        "intents in the journal": "SELECT count(*) FROM intent_journal",
        "held reservations": "SELECT count(*) FROM reservations WHERE state = 'held'",
        "open positions": "SELECT count(*) FROM positions WHERE status = 'open'",
        "completed orders without a log entry for each revision": "SELECT count(*) FROM trade_orders o"
        " WHERE completed_at IS NOT NULL AND (SELECT count(*) FROM trade_logs l WHERE l.order_id = o.id) <> revision",
        "bought decisions whose reservation is not what they spent": _SPENT_OTHERWISE,
    }.items():
        count = await world.value(query)
        if count:
            found.append(f"{count} {what}")
    return found


_SPENT_OTHERWISE = """
SELECT count(*) FROM reservations r JOIN (
    SELECT o.decision_id, sum(f.quote_quantity + f.fee) AS spent FROM fills f JOIN trade_orders o ON o.id = f.order_id
    WHERE o.purpose = 'entry' AND f.replaced_at IS NULL GROUP BY o.decision_id
) b USING (decision_id) WHERE r.settled_amount IS DISTINCT FROM b.spent
"""


def _balances(world: World) -> dict[str, Decimal]:
    """What the exchange itself says, whatever its clock and its faults are."""
    account = world.exchange.exchange.accounts.by_label("main")
    assert account is not None
    return {asset: balance.free + balance.locked for asset, balance in account.balances.items()}
