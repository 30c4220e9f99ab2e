"""The tables of the ledger as SQLAlchemy Core metadata, by subject.

This is what the code believes; the migrations make it true, and a test compares both, object by object. Triggers
and functions live in the migrations only.
"""

from signalbox.ledger.tables.alerts import alerts
from signalbox.ledger.tables.base import metadata
from signalbox.ledger.tables.configuration import (
    account_ownership,
    accounts,
    bot_configurations,
    bot_runs,
    leaders,
    settings,
    settings_history,
)
from signalbox.ledger.tables.listing_records import listing_records, listing_sightings, venue_symbols
from signalbox.ledger.tables.reconciliation import account_balances, external_orders, reconciliations
from signalbox.ledger.tables.records import chain_heads, system_events, trade_logs
from signalbox.ledger.tables.schedule import clock_offsets, listing_schedule
from signalbox.ledger.tables.signals import bot_trade_events, listing_signals, listings, strategy_decisions
from signalbox.ledger.tables.status import bot_health, equity_snapshots, system_status
from signalbox.ledger.tables.trading import fills, intent_journal, positions, reservations, trade_orders

__all__ = [
    "account_balances",
    "account_ownership",
    "accounts",
    "alerts",
    "bot_configurations",
    "bot_health",
    "bot_runs",
    "bot_trade_events",
    "chain_heads",
    "clock_offsets",
    "equity_snapshots",
    "external_orders",
    "fills",
    "intent_journal",
    "leaders",
    "listing_records",
    "listing_schedule",
    "listing_sightings",
    "listing_signals",
    "listings",
    "metadata",
    "positions",
    "reconciliations",
    "reservations",
    "settings",
    "settings_history",
    "strategy_decisions",
    "system_events",
    "system_status",
    "trade_logs",
    "trade_orders",
    "venue_symbols",
]
