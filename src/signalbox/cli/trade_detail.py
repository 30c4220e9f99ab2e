"""One trade on one screen: what happened, why, how fast, at which prices, and its place in the ledger."""

from decimal import Decimal

from rich.console import Group, RenderableType
from rich.text import Text

from signalbox.cli.output import FAINT, cell, latency, local_time
from signalbox.cli.tables import Column, decimals, prose, table, times
from signalbox.control.spend_words import spend_text
from signalbox.control.trades import Stage, TradeDetail, latency_since
from signalbox.domain.orders import Side
from signalbox.domain.risk.checks import RiskCheck
from signalbox.ledger.queries.trades import DecisionRow, FillRow, TradeRow


def trade_screen(detail: TradeDetail) -> Group:
    """Everything that explains a trade, the reason first."""
    parts: list[RenderableType] = [_headline(detail.trade), _outcome(detail.trade), Text()]
    if detail.decision is not None:
        parts += [_why(detail), checks_table(detail.checks)]
    parts.append(stages_table(detail.stages))
    if detail.trade.latency_ms is not None:
        parts.append(
            Text.assemble(f"{latency_since(detail.stages)} to sending: ", latency(detail.trade.latency_ms), "\n")
        )
    if len(detail.attempts) > 1:
        parts.append(_attempts(detail))
    if detail.fills:
        parts.append(fills_table(detail.fills))
    return Group(*parts, *_ledger_lines(detail))


def _headline(trade: TradeRow) -> Text:
    asked = f"{trade.quote_amount:f} quote" if trade.quote_amount is not None else f"{trade.quantity or 0:f} base"
    bound = "at most" if trade.side is Side.BUY else "at least"
    price = f" {bound} {trade.limit_price:f}" if trade.limit_price is not None else ""
    return Text.assemble(
        (f"{trade.side.upper()} {trade.symbol}", "bold"),
        f"  {trade.order_type}{f' {trade.time_in_force}' if trade.time_in_force else ''} for {asked}{price}"
        f" on {trade.account}, ",
        cell(trade.mode),
        f" ({trade.fill_model})" if trade.fill_model else "",
        "  ",
        cell(trade.status),
    )


def _outcome(trade: TradeRow) -> Text:
    if trade.unknown_since is not None:
        return Text(f"Outcome unknown since {local_time(trade.unknown_since)}: the exchange is being asked.")
    if trade.error_code is not None:
        return Text(f"{trade.error_code}: {trade.error_reason or 'no further reason'}", style="bold red")
    if trade.executed_quantity is None or trade.executed_quote is None or trade.executed_price is None:
        return Text("Not executed yet.")
    text = (
        f"{trade.executed_quantity:f} at {trade.executed_price:.8g} = {trade.executed_quote:f}"
        f", fees {_fees(trade.fees)}"
    )
    text += f", result {trade.realised_pnl:+f}" if trade.realised_pnl is not None else ""
    spend = spend_text(trade)
    return Text(text + (f"\n{spend[0].upper()}{spend[1:]}" if spend is not None else ""))


def _fees(fees: dict[str, Decimal] | None) -> str:
    return " + ".join(f"{amount:f} {asset}" for asset, amount in (fees or {}).items()) or "none"


def _why(detail: TradeDetail) -> Text:
    decision = detail.decision
    if decision is None:
        return Text()
    text = Text.assemble(("Why: ", "bold"), decision.reason)
    if detail.signal is not None:
        text.append(f"\nSeen first by {detail.signal.detection_source} at {local_time(detail.signal.detected_at)}")
    text.append(f"\nDecided: {decision.decision}{_by(decision)}, code {decision.code_version}", style=FAINT)
    return text


def _by(decision: DecisionRow) -> str:
    if decision.configuration is None:
        return ""
    return f" under {decision.configuration}:{decision.configuration_version}"


def checks_table(checks: list[RiskCheck]) -> RenderableType:
    """Every check with its limit, the value it saw and its verdict; what decided comes first."""
    columns = [Column("verdict"), Column("check"), prose("limit"), prose("value"), prose("in words")]
    rows = [[check.verdict, check.name, check.limit, check.value, check.message] for check in checks]
    return table("Checks", columns, rows, empty="No checks were recorded.")


def stages_table(stages: list[Stage]) -> RenderableType:
    """Where the time went."""
    columns = [Column("stage"), times("at"), decimals("took ms"), decimals("since start ms")]
    rows = [[stage.name, stage.at, stage.took_ms, stage.since_start_ms] for stage in stages]
    return table("Latency", columns, rows, empty="No stage times: the order never left.")


def fills_table(fills: list[FillRow]) -> RenderableType:
    """The executions of an order."""
    columns = [
        times("filled"),
        decimals("price"),
        decimals("quantity"),
        decimals("amount"),
        decimals("fee"),
        Column("in"),
        Column("exchange trade id", extra=True),
    ]
    rows = [
        [
            fill.filled_at,
            fill.price,
            fill.quantity,
            fill.quote_quantity,
            fill.fee,
            fill.fee_asset,
            fill.exchange_trade_id,
        ]
        for fill in fills
    ]
    return table("Fills", columns, rows, empty="No fills.")


def _attempts(detail: TradeDetail) -> RenderableType:
    columns = [decimals("attempt"), times("sent"), Column("type"), Column("status"), prose("answer")]
    rows = [
        [
            attempt.attempt,
            attempt.submitted_at,
            attempt.order_type,
            attempt.status,
            " ".join(part for part in (attempt.error_code, attempt.error_reason) if part) or None,
        ]
        for attempt in detail.attempts
    ]
    return table("Attempts of this decision", columns, rows, empty="")


def _ledger_lines(detail: TradeDetail) -> list[Text]:
    trade = detail.trade
    lines = [
        Text(
            f"order {trade.id}  client {trade.client_order_id}  exchange {trade.exchange_order_id or '–'}", style=FAINT
        ),
    ]
    if detail.position is not None:
        position = detail.position
        lines.append(
            Text(
                f"position {position.status}: {position.quantity:f} held, result {position.realised_pnl:+f}"
                f", fees {position.fees:f}"
            )
        )
    lines += [Text(f"ledger entry {log.sequence}, hash {log.hash[:16]}…", style=FAINT) for log in detail.logs]
    return lines
