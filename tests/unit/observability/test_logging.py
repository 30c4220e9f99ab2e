"""Logs: JSON lines with UTC times, and no secret in any of them."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog

from signalbox.domain.credentials import Credentials, Secret
from signalbox.observability.logging import configure_logging, masked_text, register_secret


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def logged(write: Any, **options: Any) -> list[dict[str, Any]]:
    stream = io.StringIO()
    configure_logging(stream=stream, **options)
    write()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_a_utc_time() -> None:
    (line,) = logged(lambda: structlog.get_logger("signalbox.x").info("order accepted", symbol="AUSDT", ms=3))
    assert line["message"] == "order accepted"
    assert (line["level"], line["logger"], line["symbol"], line["ms"]) == ("info", "signalbox.x", "AUSDT", 3)
    at = datetime.fromisoformat(line["at"])
    assert at.utcoffset() is not None
    assert at.utcoffset() == datetime.fromisoformat("2026-01-01T00:00:00Z").utcoffset()


def test_libraries_log_through_the_same_door() -> None:
    (line,) = logged(lambda: logging.getLogger("aiohttp").warning("slow %s", "answer"))
    assert (line["message"], line["logger"]) == ("slow answer", "aiohttp")


def test_levels_below_the_chosen_one_are_silent() -> None:
    assert logged(lambda: structlog.get_logger().info("hello"), level="warning") == []


def test_secret_names_are_masked_at_any_depth() -> None:
    def write() -> None:
        structlog.get_logger().info("x", api_key="aaaaaaaa", request={"headers": {"X-MEXC-APIKEY": "bbbbbbbb"}})

    (line,) = logged(write)
    assert line["api_key"] == "***"
    assert line["request"]["headers"]["X-MEXC-APIKEY"] == "***"


def test_registered_values_are_masked_wherever_they_appear() -> None:
    register_secret("s3cr3t/with+signs")

    def write() -> None:
        structlog.get_logger().info(
            "got s3cr3t/with+signs", url="https://x/?k=s3cr3t%2Fwith%2Bsigns", items=["s3cr3t/with+signs"]
        )

    text = json.dumps(logged(write))
    assert "s3cr3t" not in text


def test_a_traceback_is_masked_too() -> None:
    register_secret("tr4ceb4ck-secret")

    def write() -> None:
        try:
            int("bad tr4ceb4ck-secret")
        except ValueError:
            structlog.get_logger().exception("failed")

    (line,) = logged(write)
    assert "ValueError" in line["exception"]
    assert "tr4ceb4ck" not in json.dumps(line)


def test_credentials_given_to_a_log_call_stay_hidden() -> None:
    credentials = Credentials(api_key="key-in-log", api_secret=Secret("secret-in-log"))
    text = json.dumps(logged(lambda: structlog.get_logger().info("x", who=credentials, secret_of=str(credentials))))
    assert "in-log" not in text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET /order?symbol=A&signature=abcdef", "GET /order?symbol=A&signature=***"),
        ("postgresql://u:pass@host/db", "postgresql://u:***@host/db"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_known_shapes_of_secrets_in_text_are_masked(text: str, masked: str) -> None:
    assert masked_text(text) == masked


def test_the_console_form_is_readable_and_has_no_colors_without_a_terminal() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream, log_format="console")
    try:
        int("boom")
    except ValueError:
        structlog.get_logger().exception("failed", symbol="AUSDT")
    assert "failed" in stream.getvalue()
    assert "ValueError: invalid literal" in stream.getvalue()
    assert "\x1b[" not in stream.getvalue()
