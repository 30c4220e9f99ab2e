"""The accounts' side of the control endpoint: credentials, balances, and orders that the client did not send."""

from decimal import Decimal

from aiohttp import web

from signalbox.simulators.mexc.accounts import Account
from signalbox.simulators.mexc.control_bodies import CancelOrder, ChangeAccount, ChangeBalance, ForeignOrder
from signalbox.simulators.mexc.control_routes import body_of, strict
from signalbox.simulators.mexc.decimals import plain
from signalbox.simulators.mexc.errors import Refusal
from signalbox.simulators.mexc.exchange import Exchange
from signalbox.simulators.mexc.matching import cancel, place
from signalbox.simulators.mexc.order_rules import parse_order
from signalbox.simulators.mexc.rest_orders import describe_order

KNOWN_PERMISSIONS = frozenset({"SPOT_ACCOUNT_READ", "SPOT_DEAL_READ", "SPOT_DEAL_WRITE"})


class AccountControl:
    """Handlers that change an account from outside."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """The routes, to be added to an application."""
        return [
            web.post("/control/accounts", strict(self.change_account)),
            web.post("/control/balances", strict(self.change_balance)),
            web.post("/control/orders", strict(self.place_order)),
            web.delete("/control/orders", strict(self.cancel_order)),
        ]

    async def change_account(self, request: web.Request) -> object:
        """Rotate credentials, change permissions or bound pairs of an account."""
        change = await body_of(request, ChangeAccount)
        account = self._account(change.label)
        unknown = set(change.permissions or ()) - KNOWN_PERMISSIONS
        if unknown:
            raise ValueError(f"unknown permissions {sorted(unknown)}; there are {sorted(KNOWN_PERMISSIONS)}")
        if change.api_key is not None or change.secret is not None:
            owner = self._exchange.accounts.by_key(change.api_key or account.api_key)
            if owner not in (None, account):
                raise ValueError(f"api_key {change.api_key!r} belongs to another account")
            self._exchange.accounts.replace_credentials(
                account, change.api_key or account.api_key, change.secret or account.secret
            )
        if change.permissions is not None:
            account.permissions = frozenset(change.permissions)
        if change.symbols is None or isinstance(change.symbols, tuple):
            account.symbols = None if change.symbols is None else frozenset(change.symbols)
        if change.fee_in_mx is not None:
            account.fee_in_mx = change.fee_in_mx
        return {"label": account.label}

    async def change_balance(self, request: web.Request) -> object:
        """Money comes in or goes out; the account is told by a DEPOSIT or WITHDRAW push."""
        change = await body_of(request, ChangeBalance)
        account = self._account(change.label)
        balance = account.balance(change.asset)
        if not change.change.is_finite() or change.change == 0:
            raise ValueError(f"change must be a number other than 0, got {change.change}")
        if balance.free + change.change < 0:
            raise ValueError(f"account {change.label} has only {plain(balance.free)} {change.asset} free")
        balance.free += change.change
        kind = "DEPOSIT" if change.change > 0 else "WITHDRAW"
        self._exchange.publisher.balance_changed(account, change.asset, change.change, Decimal(0), kind)
        return {"asset": change.asset, "free": plain(balance.free), "locked": plain(balance.locked)}

    async def place_order(self, request: web.Request) -> object:
        """An order that the account's client knows nothing of. It is not listed among the received requests."""
        foreign = await body_of(request, ForeignOrder)
        account, exchange = self._account(foreign.label), self._exchange
        try:
            wanted = parse_order(foreign.params, exchange.switches)
            now_ms, arrived_ns = exchange.now_ms(), exchange.clock.monotonic_ns()
            order = place(exchange, account, wanted, now_ms=now_ms, arrived_ns=arrived_ns)
        except Refusal as refusal:
            raise ValueError(f"the exchange refuses the order: {refusal}") from None
        return describe_order(order)

    async def cancel_order(self, request: web.Request) -> object:
        """A cancel that the account's client knows nothing of."""
        wanted = await body_of(request, CancelOrder)
        order = self._exchange.orders.find(self._account(wanted.label), order_id=wanted.order_id, client_id=None)
        if order is None:
            raise LookupError(f"account {wanted.label} has no order {wanted.order_id!r}")
        if not order.status.is_open:
            raise ValueError(f"order {wanted.order_id} is {order.status.value} already")
        cancel(self._exchange, order, self._exchange.now_ms())
        return describe_order(order)

    def _account(self, label: str) -> Account:
        account = self._exchange.accounts.by_label(label)
        if account is None:
            known = ", ".join(known.label for known in self._exchange.accounts.all)
            raise LookupError(f"no account {label!r}; there is {known}")
        return account
