"""The listing sniper's entry: from a signal and everything known at that instant to a verdict."""

from decimal import Decimal

from msgspec import Struct

from signalbox.domain.configuration import ListingSniperParameters, OrderStyle
from signalbox.domain.instruments import Instrument
from signalbox.domain.money import ONE, round_down
from signalbox.domain.orders import Mode, OrderType, TimeInForce
from signalbox.domain.risk.checks import ENTRY_CHECKS, CheckKind, CheckVerdict, EntryInputs, RiskCheck, SkipCode
from signalbox.domain.signals import DetectionSource


class EntryVerdict(Struct, frozen=True, kw_only=True):
    """What to do with a listing. `blocked_limit` names the guardrail when one stopped an otherwise good entry."""

    execute: bool
    reason: str
    checks: tuple[RiskCheck, ...]
    skip_code: SkipCode | None = None
    blocked_limit: str | None = None


class OrderShape(Struct, frozen=True, kw_only=True):
    """How one attempt is priced and sized; exactly one of `quote_amount` and `quantity` is set."""

    order_type: OrderType
    time_in_force: TimeInForce | None = None
    quote_amount: Decimal | None = None
    quantity: Decimal | None = None
    limit_price: Decimal | None = None


def entry_mode(signal_source: DetectionSource, mode: Mode) -> Mode:
    """An injected test listing is traded in simulation only, whatever the account's mode."""
    return Mode.SIMULATION if signal_source is DetectionSource.TEST_INJECTION else mode


def decide_entry(inputs: EntryInputs) -> EntryVerdict:
    """Run every check and conclude: eligibility first, then the guardrails, in the order of ENTRY_CHECKS."""
    checks = tuple(check(inputs) for check in ENTRY_CHECKS)
    failed = [check for check in checks if check.verdict is CheckVerdict.FAILED]
    if not failed:
        signal = inputs.signal
        return EntryVerdict(
            execute=True,
            reason=f"{signal.symbol} seen by {signal.detection_source}; all checks agreed",
            checks=checks,
        )
    first = next((check for check in failed if check.kind is CheckKind.ELIGIBILITY), failed[0])
    return EntryVerdict(
        execute=False,
        reason=f"{first.name}: {first.message}",
        checks=checks,
        skip_code=first.code,
        blocked_limit=first.name if first.kind is CheckKind.LIMIT else None,
    )


def first_shape(inputs: EntryInputs) -> OrderShape | None:
    """How the first attempt goes out, or None when its style needs a price or a market rule that is not known yet."""
    parameters = inputs.configuration.parameters
    if parameters.order_style is OrderStyle.IOC_LIMIT:
        return ioc_shape(
            parameters, inputs.configuration.quote_amount, instrument=inputs.instrument, price=inputs.reference_price
        )
    return OrderShape(order_type=OrderType.MARKET, quote_amount=inputs.configuration.quote_amount)


def ioc_shape(
    parameters: ListingSniperParameters,
    spend: Decimal,
    *,
    instrument: Instrument | None,
    price: Decimal | None,
    price_cap: Decimal | None = None,
) -> OrderShape | None:
    """An immediate-or-cancel limit buy that can never cost more than `spend` (quote) nor more than the highest price.

    The limit price is the reference price plus the allowed slippage, held under the configuration's and the venue's
    caps and rounded down to the tick; the quantity is rounded down to the lot. None when there is nothing to price
    with, or when the size would round to nothing.
    """
    candidates = [
        price * (ONE + parameters.max_slippage) if price is not None else None,
        parameters.max_price,
        price_cap,
    ]
    known = [candidate for candidate in candidates if candidate is not None]
    if instrument is None or not known or (price is None and parameters.max_price is None):
        return None
    limit_price = round_down(min(known), instrument.tick_size)
    if limit_price <= 0:
        return None
    quantity = round_down(spend / limit_price, instrument.lot_size)
    if quantity <= 0:
        return None
    return OrderShape(
        order_type=OrderType.LIMIT, time_in_force=TimeInForce.IOC, quantity=quantity, limit_price=limit_price
    )
