"""Every symbol that appeared, traded or not, and who saw it first."""

from alembic import op

revision = "0011"
down_revision = "0010"
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
