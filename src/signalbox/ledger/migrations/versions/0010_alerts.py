"""Alerts: what an operator has to look at, once per cause."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UP: tuple[str, ...] = ()

DOWN: tuple[str, ...] = ()


def upgrade() -> None:
    """Add."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN:
        op.execute(statement)
