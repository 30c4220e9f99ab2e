"""Structured logs on stderr: JSON lines for machines, readable lines on a terminal, never a secret."""

import logging
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TextIO
from urllib.parse import quote, quote_plus

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK: Final = "***"
_SHORTEST_SECRET = 6
"""Shorter registered values are not searched for: masking them would shred ordinary words."""
_DEEPEST = 8

_SECRET_NAME = re.compile(
    r"(^|_)(api_?key|secret(_?key)?|api_?secret|password|passwd|passphrase|signature|authorization|cookie|token|"
    r"listen_?key|private_?key|credentials?|x_?mexc_?apikey)$"
)
_IN_TEXT = re.compile(
    r"(?i)\b(signature|listenKey|api_?key|api_?secret|secret|password|token|x-mexc-apikey)(\"?'?\s*[=:]\s*\"?'?)"
    r"([^\s&\"',;]+)"
)
_URL_PASSWORD = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s:/@]*):([^\s/@]+)@")

_secrets: set[str] = set()


def register_secret(value: str) -> None:
    """From now on this value is masked wherever it would appear in a log line, also in its URL-encoded form."""
    if len(value) >= _SHORTEST_SECRET:
        _secrets.update({value, quote(value, safe=""), quote_plus(value)})


def masked_text(text: str) -> str:
    """The text without registered secrets, `name=value` pairs of known secret names, and passwords in URLs."""
    for secret in sorted(_secrets, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, MASK)
    text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
    return _IN_TEXT.sub(rf"\1\2{MASK}", text)


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: masks values under secret names and secret values anywhere, at any depth."""
    return {name: MASK if _is_secret_name(name) else _plain(value, 0) for name, value in event.items()}


def _is_secret_name(name: object) -> bool:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(name)).lower().replace("-", "_")
    return _SECRET_NAME.search(snake) is not None


def _plain(value: Any, depth: int) -> Any:
    """The value as JSON types, masked. What is neither becomes its masked repr."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return _plain(value.value, depth)
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if depth < _DEEPEST and isinstance(value, dict):
        return {str(k): MASK if _is_secret_name(k) else _plain(v, depth + 1) for k, v in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return masked_text(str(value))


def _json(event: EventDict, **_options: Any) -> str:
    return msgspec.json.encode(event).decode()


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]


def _rendered(*, readable: bool, colors: bool) -> Iterable[Processor]:
    yield structlog.stdlib.ProcessorFormatter.remove_processors_meta
    yield structlog.processors.format_exc_info
    yield mask_secrets
    if readable:
        yield structlog.dev.ConsoleRenderer(
            colors=colors,
            timestamp_key="at",
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,  # tracebacks are text by then, and masked
        )
    else:
        yield structlog.processors.EventRenamer("message")
        yield structlog.processors.JSONRenderer(serializer=_json)


def configure_logging(*, level: str = "info", log_format: str = "auto", stream: TextIO | None = None) -> None:
    """Send the logs of this process, our own and those of libraries, to `stream` (default: stderr).

    `log_format`: json, console, or auto (console when the stream is a terminal). Times are UTC. May be called again.
    """
    out = sys.stderr if stream is None else stream
    readable = log_format == "console" or (log_format == "auto" and out.isatty())
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_shared(), structlog.stdlib.ExtraAdder()],
        processors=list(_rendered(readable=readable, colors=readable and out.isatty())),
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("asyncio", "alembic", "picows", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
