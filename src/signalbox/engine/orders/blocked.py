"""Orders that a guardrail blocked are told to people: one alert for each limit of an account, open until it is seen."""

from typing import Any, Final

from signalbox.domain.ports import EventSink

SAFETY_CONSTRAINT: Final = "SAFETY_CONSTRAINT"


def tell_blocked(journal: EventSink, account_label: str, limit: str, message: str, **details: Any) -> None:
    """Raise the alert `order_blocked`, which is an event as well."""
    journal.alert(
        "order_blocked",
        f"{account_label}: {limit}",
        message,
        code=SAFETY_CONSTRAINT,
        limit=limit,
        account=account_label,
        **details,
    )
