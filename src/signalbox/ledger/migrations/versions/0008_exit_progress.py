"""Positions remember what their exit rules need after a restart."""

from alembic import op

revision = "0008"
down_revision = "0007"
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
