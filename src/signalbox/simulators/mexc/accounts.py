"""Accounts and their balances: free and locked amounts, which never go below zero."""

from dataclasses import dataclass, field
from decimal import Decimal

from signalbox.simulators.market import Seeds
from signalbox.simulators.mexc.options import AccountOptions

ZERO = Decimal(0)


class BalanceError(Exception):
    """A booking would make a balance negative; a bug of the simulator, never an answer to a client."""


@dataclass(slots=True)
class Balance:
    """What an account holds of one asset."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


@dataclass(slots=True)
class Account:
    """One credential set with its balances. `uid` names it in rate limits."""

    uid: str
    label: str
    api_key: str
    secret: str
    permissions: frozenset[str]
    symbols: frozenset[str] | None
    ip_whitelist: frozenset[str]
    fee_in_mx: bool
    balances: dict[str, Balance] = field(default_factory=dict)

    def balance(self, asset: str) -> Balance:
        """The balance of one asset, created empty when new."""
        found = self.balances.get(asset)
        if found is None:
            found = self.balances[asset] = Balance()
        return found

    def lock(self, asset: str, amount: Decimal) -> None:
        """Move from free to locked when an order is taken."""
        balance = self.balance(asset)
        self._check(asset, balance.free - amount)
        balance.free -= amount
        balance.locked += amount

    def unlock(self, asset: str, amount: Decimal) -> None:
        """Move back to free what an order no longer needs."""
        balance = self.balance(asset)
        self._check(asset, balance.locked - amount)
        balance.locked -= amount
        balance.free += amount

    def pay_locked(self, asset: str, amount: Decimal) -> None:
        """Pay for a fill out of what was locked."""
        balance = self.balance(asset)
        self._check(asset, balance.locked - amount)
        balance.locked -= amount

    def pay_free(self, asset: str, amount: Decimal) -> None:
        """Pay out of the free amount."""
        balance = self.balance(asset)
        self._check(asset, balance.free - amount)
        balance.free -= amount

    def receive(self, asset: str, amount: Decimal) -> None:
        """Add to the free amount."""
        self.balance(asset).free += amount

    def may_trade(self, symbol: str) -> bool:
        """Whether the key is bound to this pair (or to none in particular)."""
        return self.symbols is None or symbol in self.symbols

    def _check(self, asset: str, left: Decimal) -> None:
        if left < 0:
            raise BalanceError(f"account {self.label}: {asset} would become {left}")


class Accounts:
    """All accounts, found by API key."""

    def __init__(self, accounts: list[Account]) -> None:
        self.all = accounts
        self._by_key = {account.api_key: account for account in accounts}

    def by_key(self, api_key: str) -> Account | None:
        """The account of a key, or None."""
        return self._by_key.get(api_key)

    def by_label(self, label: str) -> Account | None:
        """The account with this label, or None."""
        return next((account for account in self.all if account.label == label), None)

    def replace_credentials(self, account: Account, api_key: str, secret: str) -> None:
        """Rotate the credentials of an account; the old key is unknown from now on."""
        self._by_key.pop(account.api_key, None)
        account.api_key, account.secret = api_key, secret
        self._by_key[api_key] = account


def build_accounts(seeds: Seeds, options: tuple[AccountOptions, ...]) -> Accounts:
    """Accounts with credentials derived from the seed and the label: test credentials, worth nothing anywhere."""
    labels = [option.label for option in options]
    if len(set(labels)) != len(labels):
        raise ValueError(f"account labels must differ, got {labels}")
    accounts = []
    for number, option in enumerate(options, start=1):
        draw = seeds.source(f"account/{option.label}")
        api_key = option.api_key or "mx0sim" + "".join(draw.choices("abcdefghjkmnpqrstuvwxyz23456789", k=12))
        secret = option.secret or f"{draw.getrandbits(128):032x}"
        account = Account(
            uid=f"{10_000_000 + number}",
            label=option.label,
            api_key=api_key,
            secret=secret,
            permissions=frozenset(option.permissions),
            symbols=None if option.symbols is None else frozenset(option.symbols),
            ip_whitelist=frozenset(option.ip_whitelist),
            fee_in_mx=option.fee_in_mx,
        )
        for asset, amount in option.balances.items():
            account.receive(asset, amount)
        accounts.append(account)
    return Accounts(accounts)
