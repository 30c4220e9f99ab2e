"""Signed account endpoints (MEXC spot docs, "Spot Account" and "Websocket User Data Streams")."""

from decimal import Decimal

from signalbox.simulators.mexc import errors
from signalbox.simulators.mexc.accounts import Account
from signalbox.simulators.mexc.calls import READ_ACCOUNT, Call, Endpoint
from signalbox.simulators.mexc.decimals import plain
from signalbox.simulators.mexc.errors import Refusal
from signalbox.simulators.mexc.instruments import Phase
from signalbox.simulators.mexc.listen_keys import MAX_KEYS, ListenKeys
from signalbox.simulators.mexc.order_rules import required

Json = dict[str, object]


def account(call: Call) -> Json:
    """Balances that are not zero, as free and locked."""
    balances = [
        {"asset": asset, "free": plain(balance.free), "locked": plain(balance.locked)}
        for asset, balance in call.account.balances.items()
        if balance.free or balance.locked
    ]
    return {
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "updateTime": None,
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
    }


def self_symbols(call: Call) -> Json:
    """Pairs that this key may trade."""
    now = call.now_ms
    names = [
        pair.symbol
        for pair in call.exchange.pairs.values()
        if pair.phase(now) is Phase.OPEN and pair.timetable.is_api_tradable(now) and call.account.may_trade(pair.symbol)
    ]
    return {"code": 200, "data": names, "msg": None}


def trade_fee(call: Call) -> Json:
    """The account's fee rates for one pair; these are JSON numbers, unlike nearly everything else."""
    pair = call.exchange.find(required(call.params, "symbol"), call.now_ms)
    if pair is None:
        raise Refusal(errors.SYMBOL_INVALID)
    data = {"makerCommission": _number(pair.rules.maker_rate), "takerCommission": _number(pair.rules.taker_rate)}
    return {"data": data, "code": 0, "msg": "success", "timestamp": call.now_ms}


def _number(rate: Decimal) -> int | float:
    return int(rate) if rate == rate.to_integral_value() else float(rate)


def capital_config(call: Call) -> list[Json]:
    """The coins, without any network: there is nothing to deposit or withdraw here."""
    coins = {}
    for pair in call.exchange.pairs.values():
        if pair.timetable.is_visible(call.now_ms):
            coins[pair.rules.base] = pair.rules.full_name
            coins.setdefault(pair.rules.quote, pair.rules.quote)
    return [{"coin": coin, "name": name, "networkList": []} for coin, name in coins.items()]


def api_key_info(call: Call) -> Json:
    """What a key may do."""
    asked = required(call.params, "accessKey")
    if asked != call.account.api_key:
        raise Refusal(errors.ACCESS_KEY_UNKNOWN)
    return {
        "note": call.account.label,
        "accessKey": asked,
        "createTime": "2026-01-01T08:00:00.000+08:00",
        "permissions": ",".join(sorted(call.account.permissions)),
        "remainingValidity": -999,
        "ipWhiteList": ",".join(sorted(call.account.ip_whitelist)),
        "status": "VALID",
    }


def user_id(call: Call) -> Json:
    """The account's number."""
    return {"uid": call.account.uid}


def kyc_status(_call: Call) -> Json:
    """Always verified."""
    return {"status": "4"}


class UserDataStream:
    """The four calls on `/userDataStream`; all of them are signed."""

    def __init__(self, keys: ListenKeys) -> None:
        self._keys = keys

    def create(self, call: Call) -> Json:
        """A new listen key."""
        return {"listenKey": self._keys.create(call.account, call.now_ms)}

    def list(self, call: Call) -> Json:
        """All listen keys of the account."""
        keys = self._keys.of(call.account, call.now_ms)
        return {"listenKey": keys, "total": MAX_KEYS, "available": MAX_KEYS - len(keys)}

    def extend(self, call: Call) -> Json:
        """60 more minutes."""
        text = required(call.params, "listenKey")
        self._keys.extend(call.account, text, call.now_ms)
        return {"listenKey": text}

    def delete(self, call: Call) -> Json:
        """End a key."""
        text = required(call.params, "listenKey")
        self._keys.delete(call.account, text, call.now_ms)
        return {"listenKey": text}

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        """The table entries."""
        path = "/api/v3/userDataStream"
        return {
            ("POST", path): Endpoint(self.create, permission=READ_ACCOUNT),
            ("GET", path): Endpoint(self.list, permission=READ_ACCOUNT),
            ("PUT", path): Endpoint(self.extend, permission=READ_ACCOUNT),
            ("DELETE", path): Endpoint(self.delete, permission=READ_ACCOUNT),
        }


def describe_account(account: Account) -> Json:
    """An account with its test credentials, for the line that the simulator prints at its start."""
    return {
        "label": account.label,
        "api_key": account.api_key,
        "secret": account.secret,
        "balances": {asset: plain(balance.free) for asset, balance in account.balances.items()},
    }


ENDPOINTS = {
    ("GET", "/api/v3/account"): Endpoint(account, weight=10, permission=READ_ACCOUNT),
    ("GET", "/api/v3/selfSymbols"): Endpoint(self_symbols, permission=READ_ACCOUNT),
    ("GET", "/api/v3/tradeFee"): Endpoint(trade_fee, weight=20, permission=READ_ACCOUNT),
    ("GET", "/api/v3/capital/config/getall"): Endpoint(capital_config, weight=10, permission=READ_ACCOUNT),
    ("GET", "/api/v3/apiKeyInfo"): Endpoint(api_key_info, permission=READ_ACCOUNT),
    ("GET", "/api/v3/uid"): Endpoint(user_id, permission=READ_ACCOUNT),
    ("GET", "/api/v3/kyc/status"): Endpoint(kyc_status, permission=READ_ACCOUNT),
}
