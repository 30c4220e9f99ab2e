"""What is going to be listed, and how far the venue's clock is from ours."""

from alembic import op

revision = "0007"
down_revision = "0006"
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
