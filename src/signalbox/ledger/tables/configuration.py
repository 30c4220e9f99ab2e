"""What operators set up: accounts, configurations, runs, leaders, settings; and who owns an account."""

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text

from signalbox.ledger.tables.base import (
    EMPTY_OBJECT,
    UUID,
    document,
    flag,
    identifier,
    is_object,
    metadata,
    moment,
    money,
    not_empty,
    not_negative,
    one_of,
    optional,
    positive,
    required,
    rule,
)

ACTIVE_RUN = "status IN ('starting', 'running', 'stopping')"

accounts = Table(
    "accounts",
    metadata,
    identifier(),
    required("venue"),
    required("label"),
    required("environment", "local"),
    moment("validated_at", null=True),
    optional("last_error"),
    moment("created_at", now=True),
    moment("validation_asked_at", null=True, comment="When an operator last asked the engine to check the secret"),
    moment("checked_at", null=True, comment="When the engine last finished such a check, whatever it found"),
    UniqueConstraint("venue", "label"),
    one_of("venue", "mexc", "hyperliquid"),
    one_of("environment", "local", "dev", "prod"),
    not_empty("label"),
    comment="A credential set on a venue; the secret itself is never stored here",
)

account_ownership = Table(
    "account_ownership",
    metadata,
    Column("account_id", UUID, ForeignKey("accounts.id"), primary_key=True),
    Column("fence", BigInteger, nullable=False, comment="Rises with every new owner; a stale owner cannot write"),
    required("holder"),
    moment("acquired_at", now=True),
    required(
        "kill_switch",
        "off",
        comment="Copy of system_status, made in the same transaction; the last gate reads it under the row's lock",
    ),
    rule("fence_positive", "fence > 0"),
    one_of("kill_switch", "off", "block", "cancel", "flatten", "freeze"),
)

bot_configurations = Table(
    "bot_configurations",
    metadata,
    identifier(),
    required("name"),
    Column("version", Integer, nullable=False, server_default=text("1")),
    required("strategy"),
    required("mode", "simulation"),
    Column("symbols", ARRAY(Text), nullable=False, comment="Exact pairs or patterns such as *USDT"),
    money("quote_amount"),
    Column("max_trades_per_hour", Integer, nullable=False),
    money("max_daily_spend"),
    Column("recv_window", Integer, nullable=False, comment="Milliseconds"),
    flag("safety_enabled", default=True),
    document("parameters", default=EMPTY_OBJECT),
    moment("created_at", now=True),
    moment("updated_at", now=True),
    required("created_by"),
    UniqueConstraint("name", "version"),
    one_of("strategy", "listing_sniper", "fade"),
    one_of("mode", "simulation", "live"),
    not_empty("name"),
    not_empty("created_by"),
    positive("quote_amount"),
    positive("max_daily_spend"),
    is_object("parameters"),
    rule("version_positive", "version > 0"),
    rule("max_trades_per_hour", "max_trades_per_hour BETWEEN 1 AND 100"),
    rule("recv_window", "recv_window BETWEEN 1 AND 1000"),
    rule(
        "symbols_not_empty",
        "cardinality(symbols) > 0 AND array_position(symbols, NULL) IS NULL AND '' <> ALL (symbols)",
    ),
    comment="Immutable; a change makes a new version",
)

bot_runs = Table(
    "bot_runs",
    metadata,
    identifier(),
    Column("account_id", UUID, ForeignKey("accounts.id"), nullable=False),
    Column("configuration_id", UUID, ForeignKey("bot_configurations.id"), nullable=False),
    required("strategy"),
    required("status", "starting"),
    moment("started_at"),
    moment("stopped_at", null=True),
    moment("last_heartbeat", null=True),
    required("operator_id"),
    optional("error_message"),
    optional("stop_mode"),
    document("configuration_snapshot"),
    required("code_version"),
    one_of("strategy", "listing_sniper", "fade"),
    one_of("status", "starting", "running", "stopping", "stopped", "failed"),
    one_of("stop_mode", "entries", "cancel", "flatten"),
    not_empty("operator_id"),
    is_object("configuration_snapshot"),
    rule("failed_says_why", "status <> 'failed' OR (error_message IS NOT NULL AND btrim(error_message) <> '')"),
    rule("stopped_at", "(stopped_at IS NOT NULL) = (status IN ('stopped', 'failed'))"),
    rule("stopped_after_start", "stopped_at > started_at"),
    rule("heartbeat_after_start", "last_heartbeat >= started_at"),
    Index(None, "status", "last_heartbeat"),
    Index(
        "uq_bot_runs_active",
        "account_id",
        "strategy",
        unique=True,
        postgresql_where=text(ACTIVE_RUN),
    ),
    Index(None, "configuration_id"),
)

leaders = Table(
    "leaders",
    metadata,
    Column("id", Text, primary_key=True, comment="A short name such as gemini-3-pro"),
    required("name"),
    required("wallet_address"),
    Column("account_id", UUID, ForeignKey("accounts.id"), nullable=False, comment="The account we trade on"),
    flag("enabled", default=False),
    money("leverage_multiplier", default="1"),
    required("sizing_mode", "multiplier"),
    money("fixed_notional", null=True),
    moment("created_at", now=True),
    moment("updated_at", now=True),
    UniqueConstraint("account_id", "wallet_address"),
    not_empty("id"),
    not_empty("name"),
    rule("wallet_address", "wallet_address ~ '^0x[0-9a-fA-F]{40}$'"),
    rule("leverage_multiplier", "leverage_multiplier BETWEEN 0.1 AND 10"),
    one_of("sizing_mode", "multiplier", "equity_ratio", "fixed_notional"),
    positive("fixed_notional"),
    rule("fixed_notional_given", "sizing_mode <> 'fixed_notional' OR fixed_notional IS NOT NULL"),
)


def _limits() -> list[Column[Any]]:
    return [
        required("mode", "simulation"),
        money("max_trade_usdt"),
        money("max_position_usdt"),
        money("global_exposure_cap", null=True, comment="NULL: unlimited"),
        document("asset_exposure_caps", default=EMPTY_OBJECT),
        money("daily_loss_limit", null=True, comment="NULL: unlimited"),
        flag("auto_trade", default=False),
        moment("created_at", now=True),
        moment("updated_at", now=True),
        required("updated_by"),
    ]


settings = Table(
    "settings",
    metadata,
    Column("account_id", UUID, ForeignKey("accounts.id"), primary_key=True),
    Column("version", Integer, nullable=False, server_default=text("1")),
    *_limits(),
    one_of("mode", "simulation", "live"),
    positive("max_trade_usdt"),
    rule(
        "max_position_usdt",
        "max_position_usdt >= max_trade_usdt AND max_position_usdt < 'Infinity'::numeric",
    ),
    not_negative("global_exposure_cap"),
    not_negative("daily_loss_limit"),
    is_object("asset_exposure_caps"),
    not_empty("updated_by"),
    rule("version_positive", "version > 0"),
)

settings_history = Table(
    "settings_history",
    metadata,
    Column("account_id", UUID, ForeignKey("accounts.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    *_limits(),
    comment="Every version of the settings; written by a trigger",
)
