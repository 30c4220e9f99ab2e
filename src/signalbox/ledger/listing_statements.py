"""The SQL of the listings' records. Every statement may be repeated: the second time changes nothing."""

from signalbox.domain.listing_records import MARKS_MIN

NOTE = """
INSERT INTO listing_records AS r (
    account_id, listing_id, symbol, listed_at, is_test, run_id, first_seen_at, first_seen_by, opens_at, tradable_at,
    tradable_by, quote_amount, created_at, updated_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
ON CONFLICT (account_id, listing_id) DO UPDATE SET
    first_seen_by = CASE WHEN excluded.first_seen_at < r.first_seen_at THEN excluded.first_seen_by
        ELSE r.first_seen_by END,
    first_seen_at = least(r.first_seen_at, excluded.first_seen_at),
    opens_at = coalesce(excluded.opens_at, r.opens_at),
    tradable_by = CASE WHEN excluded.tradable_at < r.tradable_at OR r.tradable_at IS NULL THEN excluded.tradable_by
        ELSE r.tradable_by END,
    tradable_at = least(r.tradable_at, excluded.tradable_at),
    run_id = coalesce(excluded.run_id, r.run_id),
    quote_amount = coalesce(r.quote_amount, excluded.quote_amount),
    outcome = CASE WHEN r.reason_code = 'CANCELLED' THEN 'pending' ELSE r.outcome END,
    reason_code = nullif(r.reason_code, 'CANCELLED'),
    reason = CASE WHEN r.reason_code = 'CANCELLED' THEN NULL ELSE r.reason END,
    updated_at = excluded.updated_at
WHERE r.is_test = excluded.is_test
"""

# Lags count by one monotonic clock. Only against what an earlier process saw there is nothing but the wall clock.
SIGHTING = """
INSERT INTO listing_sightings AS s (account_id, listing_id, source, seen_at, exchange_event_at, price, lag_ms)
SELECT $1, $2, $3, $4, $5, $6, $7::numeric + greatest(0, coalesce(round(
    extract(epoch FROM $8 - (SELECT min(seen_at) FROM listing_sightings WHERE account_id = $1 AND listing_id = $2))
    * 1000, 3), 0))
FROM listing_records WHERE account_id = $1 AND listing_id = $2 AND is_test = ($3 = 'test_injection')
ON CONFLICT (account_id, listing_id, source) DO UPDATE SET
    seen_at = excluded.seen_at, exchange_event_at = excluded.exchange_event_at, price = excluded.price,
    lag_ms = excluded.lag_ms
WHERE excluded.seen_at <= s.seen_at
"""

LEARN = """
WITH new AS (
    INSERT INTO venue_symbols (venue, symbol, first_seen_at) SELECT $1, symbol, $3 FROM unnest($2::text[]) AS symbol
    ON CONFLICT DO NOTHING RETURNING symbol
)
SELECT symbol FROM new
"""

RUN_BEFORE = """
SELECT r.status, r.stopped_at, r.error_message FROM bot_runs r JOIN accounts a ON a.id = r.account_id
WHERE a.venue = $1 AND r.strategy = 'listing_sniper' AND r.id IS DISTINCT FROM $2
ORDER BY r.status = 'running' DESC, r.stopped_at DESC NULLS LAST LIMIT 1
"""

UNWATCHED = """
WITH new AS (
    INSERT INTO listing_records (
        account_id, listing_id, symbol, listed_at, run_id, first_seen_at, first_seen_by, opens_at, tradable_at,
        tradable_by, api_tradable, outcome, reason_code, reason, quote_amount, created_at, updated_at
    )
    SELECT $1, m.listing_id, m.symbol, m.listed_at, $2, $3, 'market_list', m.opens_at,
        CASE WHEN m.tradable THEN $3::timestamptz END, CASE WHEN m.tradable THEN 'market_rules' END, m.tradable,
        'missed', 'NO_RUN', $4, $5, $3, $3
    FROM unnest($6::uuid[], $7::text[], $8::timestamptz[], $9::timestamptz[], $10::boolean[])
        AS m (listing_id, symbol, listed_at, opens_at, tradable)
    WHERE NOT EXISTS (
        SELECT FROM listing_signals s WHERE s.symbol = m.symbol AND s.detection_source <> 'test_injection'
    )
    ON CONFLICT DO NOTHING
    RETURNING symbol, listed_at, first_seen_at
), listed AS (
    INSERT INTO listings (symbol, listed_at, source, created_at)
    SELECT symbol, listed_at, $11, first_seen_at FROM new
    ON CONFLICT DO NOTHING
)
SELECT symbol FROM new
"""

ADOPT = """
WITH lost AS (
    INSERT INTO listing_records (
        account_id, listing_id, symbol, listed_at, is_test, run_id, first_seen_at, first_seen_by, opens_at, tradable_at,
        tradable_by, quote_amount, created_at, updated_at
    )
    SELECT d.account_id, s.id, s.symbol, s.listed_at, s.detection_source = 'test_injection', d.run_id, s.detected_at,
        s.detection_source, s.listing_time, CASE WHEN proof.by IS NOT NULL THEN s.detected_at END, proof.by,
        (d.inputs #>> '{configuration,quote_amount}')::numeric, $3, $3
    FROM strategy_decisions d JOIN listing_signals s ON s.id = d.listing_signal_id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN s.price IS NOT NULL AND s.detection_source = ANY ('{ticker_diff,websocket}'::text[])
            THEN s.detection_source END AS by
    ) proof
    WHERE d.account_id = $1 AND d."timestamp" >= $2 AND NOT EXISTS (
        SELECT FROM listing_records r WHERE r.account_id = d.account_id AND r.listing_id = s.id
    )
    ON CONFLICT DO NOTHING
    RETURNING account_id, listing_id
)
SELECT lost.account_id, lost.listing_id, s.detection_source, s.detected_at, s.exchange_event_at, s.price, s.evidence
FROM lost JOIN listing_signals s ON s.id = lost.listing_id
"""

# A listing that was announced again and seen has a record of its own by then.
CANCELLED = """
SELECT s.account_id, s.symbol, s.opens_at, s.origins, s.first_announced_at, s.updated_at,
    (SELECT count(*) FROM jsonb_array_elements(s.moves) AS move WHERE move ->> 'new' IS NOT NULL) AS moves
FROM listing_schedule s
WHERE s.account_id = $1 AND s.state = 'cancelled' AND s.updated_at >= $2 AND NOT EXISTS (
    SELECT FROM listing_records r
    WHERE r.account_id = s.account_id AND r.symbol = s.symbol AND NOT r.is_test
        AND (r.listed_at = s.opens_at OR r.first_seen_at >= s.first_announced_at)
)
"""

TAKE_BACK = """
INSERT INTO listing_records (
    account_id, listing_id, symbol, listed_at, opens_at, first_seen_at, first_seen_by, outcome, reason_code, reason,
    created_at, updated_at
) VALUES ($1, $2, $3, $4, $4, $5, $6, 'missed', 'CANCELLED', $7, $8, $8)
ON CONFLICT DO NOTHING
"""

ANNOUNCED = """
SELECT DISTINCT ON (symbol) symbol, opens_at FROM listing_schedule
WHERE account_id = $1 AND symbol = ANY ($2) AND opens_at <= $3 AND state <> 'cancelled'
ORDER BY symbol, opens_at DESC
"""

FACTS = """
SELECT r.account_id, r.listing_id, r.symbol, r.outcome, d.id AS decision_id, d.decision AS verdict,
    coalesce(d.reason, '') AS decision_reason, d.skip_code,
    jsonb_path_query_first(d.risk_checks, '$[*] ? (@.verdict == "failed" && @.kind == "limit")') ->> 'name'
        AS failed_limit,
    coalesce(r.api_tradable, (d.inputs #>> '{instrument,api_tradable}')::boolean) AS api_tradable,
    coalesce(s.taken_back, false) AS taken_back, coalesce(o.orders, '[]'::jsonb) AS orders
FROM listing_records r
LEFT JOIN strategy_decisions d ON d.account_id = r.account_id AND d.listing_signal_id = r.listing_id
LEFT JOIN LATERAL (
    SELECT bool_or(executed_quantity > 0) AS bought, jsonb_agg(jsonb_build_object(
        'status', status, 'bought', coalesce(executed_quantity, 0) > 0, 'error_code', error_code,
        'error_reason', error_reason
    ) ORDER BY attempt, id) AS orders
    FROM trade_orders WHERE decision_id = d.id
) o ON true
LEFT JOIN LATERAL (
    SELECT true AS taken_back FROM listing_schedule
    WHERE account_id = r.account_id AND symbol = r.symbol AND opens_at = r.opens_at AND state = 'cancelled' LIMIT 1
) s ON true
WHERE r.account_id = $1
    AND (r.outcome = 'pending' OR r.listing_id = ANY ($2)
        OR (r.outcome = 'missed' AND r.first_seen_at >= $3
            AND (o.bought OR (r.reason_code = 'NOT_DECIDED' AND (d.id IS NOT NULL OR s.taken_back)))))
"""

CONCLUDE = """
UPDATE listing_records r SET
    outcome = $3, decision_id = coalesce($4, r.decision_id), reason_code = $5, reason_limit = $6, reason = $7,
    tradable_by = CASE WHEN taken.at < r.tradable_at OR (r.tradable_at IS NULL AND taken.at IS NOT NULL) THEN 'order'
        ELSE r.tradable_by END,
    tradable_at = least(r.tradable_at, taken.at), updated_at = $8
FROM (
    SELECT min(acknowledged_at) AS at FROM trade_orders WHERE decision_id = $4 AND exchange_order_id IS NOT NULL
) taken
WHERE r.account_id = $1 AND r.listing_id = $2 AND r.outcome <> 'traded'
"""

MARKET = """
UPDATE listing_records SET
    api_tradable = $3, tradable_at = coalesce(tradable_at, $4), tradable_by = coalesce(tradable_by, $5), updated_at = $6
WHERE account_id = $1 AND listing_id = $2
"""

BOOK = """
UPDATE listing_records SET book_read_at = $3, best_ask = $4, book_quantity = $5, book_spent = $6, updated_at = $7
WHERE account_id = $1 AND listing_id = $2 AND book_read_at IS NULL
"""

BIDS = {
    minutes: f"""
UPDATE listing_records SET bid_after_{minutes}m = coalesce(bid_after_{minutes}m, $3), updated_at = $4
WHERE account_id = $1 AND listing_id = $2 AND book_read_at IS NOT NULL
"""  # noqa: S608 - our own column names
    for minutes in MARKS_MIN
}

UNFINISHED = """
SELECT account_id, listing_id, symbol, first_seen_at, quote_amount, book_read_at, bid_after_1m, bid_after_5m,
    bid_after_15m
FROM listing_records
WHERE account_id = $1 AND first_seen_at >= $2 AND NOT is_test AND quote_amount IS NOT NULL
    AND reason_code IS DISTINCT FROM 'CANCELLED' AND (opens_at IS NULL OR opens_at >= first_seen_at - $3::interval)
    AND num_nulls(book_read_at, bid_after_1m, bid_after_5m, bid_after_15m) > 0
ORDER BY first_seen_at, listing_id
"""
