"""The venue's error codes and the texts it sends with them (MEXC spot docs "Error Code"; wire texts as observed)."""

API_KEY_REQUIRED = 400
NO_AUTHORITY = 401
ACCESS_KEY_UNKNOWN = 10072
SYMBOL_INVALID = -1121
TIME_RANGE_TOO_LONG = -1127
PARAMETERS_INVALID = -1128
CANCEL_UNKNOWN_ORDER = -2011
ORDER_DOES_NOT_EXIST = -2013
SYMBOL_NOT_TRADABLE_BY_API = 10007
TOO_MANY_DECIMALS = 10096
AMOUNT_WRONG = 10097
BALANCE_INSUFFICIENT = 10101
TRADING_SUSPENDED = 30000
DIRECTION_NOT_ALLOWED = 30001
BELOW_MINIMUM = 30002
ABOVE_MAXIMUM = 30003
POSITION_INSUFFICIENT = 30004
OVERSOLD = 30005
NO_VALID_PRICE = 30010
TRADING_DISABLED = 30016
NO_OPPOSITE_ORDER = 30025
ORDER_ID_INVALID = 30026
TOO_MANY_OPEN_ORDERS = 30029
MARKET_ORDERS_SUSPENDED = 30018
MARKET_ORDERS_CLOSED = 30019
ORDER_TYPE_NOT_ALLOWED = 30041
OPERATION_NOT_ALLOWED = 26
MARKET_ORDERS_OFF = 30051
PRICE_OUT_OF_BAND = 30087
PARAMETER_WRONG = 33333
PARAMETER_NULL = 44444
API_KEY_FORMAT = 700001
SIGNATURE_INVALID = 700002
TIMESTAMP_OUTSIDE_WINDOW = 700003
PARAMETER_MISSING = 700004
RECV_WINDOW_TOO_LARGE = 700005
IP_NOT_ALLOWED = 700006
PERMISSION_MISSING = 700007
ILLEGAL_CHARACTERS = 700008
CONTENT_TYPE_INVALID = 700013
LISTEN_KEY_UNKNOWN = 730100

_TEXTS = {
    API_KEY_REQUIRED: "api key required",
    NO_AUTHORITY: "No authority",
    ACCESS_KEY_UNKNOWN: "Api key info invalid",
    SYMBOL_INVALID: "Invalid symbol.",
    TIME_RANGE_TOO_LONG: "More than 1 hours between startTime and endTime.",
    PARAMETERS_INVALID: "Combination of optional parameters invalid.",
    CANCEL_UNKNOWN_ORDER: "Unknown order sent.",
    ORDER_DOES_NOT_EXIST: "Order does not exist.",
    SYMBOL_NOT_TRADABLE_BY_API: "symbol not support api",
    TOO_MANY_DECIMALS: "Too many decimal places in the amount",
    AMOUNT_WRONG: "Wrong amount",
    BALANCE_INSUFFICIENT: "Insufficient balance",
    TRADING_SUSPENDED: "Suspended transaction for the symbol",
    DIRECTION_NOT_ALLOWED: "The current transaction direction is not allowed to place an order",
    BELOW_MINIMUM: "The minimum transaction volume cannot be less than:{detail}",
    ABOVE_MAXIMUM: "The maximum transaction volume cannot be greater than:{detail}",
    POSITION_INSUFFICIENT: "Insufficient position",
    OVERSOLD: "Oversold",
    NO_VALID_PRICE: "Order price cannot exceed {detail}",
    TRADING_DISABLED: "Trading disabled",
    NO_OPPOSITE_ORDER: "There is no opposite order",
    ORDER_ID_INVALID: "Invalid order ids",
    TOO_MANY_OPEN_ORDERS: "Maximum order limit reached",
    MARKET_ORDERS_SUSPENDED: "Market orders disabled",
    MARKET_ORDERS_CLOSED: "api market order is disabled",
    ORDER_TYPE_NOT_ALLOWED: "The current order type can not place an order",
    OPERATION_NOT_ALLOWED: "operation not allowed",
    MARKET_ORDERS_OFF: "api market order is disabled",
    PRICE_OUT_OF_BAND: "Order price exceeds allowed range",
    PARAMETER_WRONG: "Param error{detail}",
    PARAMETER_NULL: "Param {detail}cannot be null",
    API_KEY_FORMAT: "API-key format invalid.",
    SIGNATURE_INVALID: "Signature for this request is not valid.",
    TIMESTAMP_OUTSIDE_WINDOW: "Timestamp for this request is outside of the recvWindow.",
    PARAMETER_MISSING: "Mandatory parameter '{detail}' was not sent, was empty/null, or malformed.",
    RECV_WINDOW_TOO_LARGE: "recvWindow must less than 60000",
    IP_NOT_ALLOWED: "IP [{detail}] not in the ip white list",
    PERMISSION_MISSING: "No permission to access the endpoint",
    ILLEGAL_CHARACTERS: "Illegal characters found in parameter '{detail}'",
    CONTENT_TYPE_INVALID: "Invalid content Type.",
    LISTEN_KEY_UNKNOWN: "Invalid listen key",
}

# The one text that was seen in Chinese on the wire.
CHINESE_TEXTS = {BALANCE_INSUFFICIENT: "资金不足"}


class Refusal(Exception):
    """The venue says no: answered as HTTP `status` with `{"code": code, "msg": text}`."""

    def __init__(self, code: int, detail: str = "", *, status: int = 400, text: str | None = None) -> None:
        self.code = code
        self.status = status
        self.text = text if text is not None else _TEXTS.get(code, "Request refused{detail}").format(detail=detail)
        super().__init__(f"{code}: {self.text}")


def known_codes() -> frozenset[int]:
    """Every code that has a text here."""
    return frozenset(_TEXTS)
