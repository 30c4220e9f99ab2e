"""How alerts are written, by the engine and by commands alike: one open alert per kind and subject, history kept."""

REPEAT = """
UPDATE alerts SET
    count = count + $6, last_at = greatest(last_at, $7), message = $4, details = $5,
    severity = CASE WHEN stronger THEN $3 ELSE severity END,
    acknowledged_at = CASE WHEN NOT stronger THEN acknowledged_at END,
    acknowledged_by = CASE WHEN NOT stronger THEN acknowledged_by END
FROM (
    SELECT id AS open_id, array_position('{info,warning,critical}'::text[], $3)
        > array_position('{info,warning,critical}'::text[], severity) AS stronger
    FROM alerts WHERE kind = $1 AND subject = $2 AND resolved_at IS NULL
    FOR UPDATE
) open_alert
WHERE id = open_id AND last_at <> $7
RETURNING id
"""
"""Count up the open alert, unless this very raise ($7 is its time) was counted before. One that got worse asks to be
acknowledged anew."""

OPEN = """
INSERT INTO alerts (kind, subject, severity, message, details, count, first_at, last_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
ON CONFLICT (kind, subject) WHERE resolved_at IS NULL DO NOTHING
RETURNING id
"""

RESOLVE = """
UPDATE alerts SET resolved_at = greatest($4, last_at), resolution = $3
WHERE kind = $1 AND subject = $2 AND resolved_at IS NULL
RETURNING id, message, count
"""
