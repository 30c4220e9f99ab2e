"""Process settings. This module is the only one that reads the environment."""

import difflib
import getpass
import os
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
from msgspec import Struct

from signalbox.domain.errors import ConfigError
from signalbox.venues.mexc.endpoints import LIVE_ENDPOINTS, MexcEndpoints

PREFIX = "SIGNALBOX_"
ACCOUNT_PREFIX = "SIGNALBOX_ACCOUNT_"
FOREIGN_PREFIXES = (ACCOUNT_PREFIX, "SIGNALBOX_TEST_", "SIGNALBOX_CONFORMANCE_")
"""Names below these are read by others: account secrets, and the test suites."""


class LogLevel(StrEnum):
    """The least important thing that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """`auto`: readable lines on a terminal, JSON lines otherwise."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that the environment says. `database_url` may hold a password, so a repr leaves it out.

    Without a `database_url` a private PostgreSQL below `data_dir` is used, and in it the database `database_name`.
    `secrets_dirs` are searched in this order.
    """

    data_dir: Path
    operator: str
    database_url: str | None = None
    database_name: str = "signalbox"
    secrets_dirs: tuple[Path, ...] = ()
    mexc: MexcEndpoints = LIVE_ENDPOINTS
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.AUTO

    @property
    def simulated_exchange(self) -> bool:
        """True when orders go to an exchange on this machine: no real money, whatever the mode."""
        return is_loopback(self.mexc.rest_url)

    @property
    def warnings(self) -> list[str]:
        """Settings that work but are probably not meant, one sentence each."""
        found = []
        local = [name for name, url in self._mexc_urls() if is_loopback(url)]
        if 0 < len(local) < len(self._mexc_urls()):
            away = [name for name, url in self._mexc_urls() if not is_loopback(url)]
            found.append(
                f"{', '.join(local)} is on this machine but {', '.join(away)} is not:"
                " events of one exchange would be traded on another."
            )
        if self.mexc.rest_url.startswith("http://") and not is_loopback(self.mexc.rest_url):
            found.append(f"{PREFIX}MEXC_REST_URL is plain http to another machine: the API key is readable on the way.")
        return found

    def _mexc_urls(self) -> list[tuple[str, str]]:
        return [
            (f"{PREFIX}MEXC_REST_URL", self.mexc.rest_url),
            (f"{PREFIX}MEXC_WS_URL", self.mexc.ws_url),
            (f"{PREFIX}MEXC_CALENDAR_URL", self.mexc.calendar_url),
        ]

    def __repr__(self) -> str:
        database = "private" if self.database_url is None else "***"
        return f"Settings(data_dir={self.data_dir}, database_url={database}, mexc={self.mexc})"


def is_loopback(url: str) -> bool:
    """True when the URL's host is this machine: localhost, 127.0.0.0/8 or ::1."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environment` (default: this process's own).

    An empty value counts as absent. Raises ConfigError with name, value and rule; an unknown SIGNALBOX_ name is an
    error too, because a misspelt guardrail would otherwise be silently ignored.
    """
    given = {name: value for name, value in _environment(environment).items() if value.strip()}
    _refuse_unknown(given)
    log_level = given.get("SIGNALBOX_LOG_LEVEL", LogLevel.INFO)
    log_format = given.get("SIGNALBOX_LOG_FORMAT", LogFormat.AUTO)
    return Settings(
        database_url=_database_url(given),
        database_name=_database_name(given),
        data_dir=_directory(given, "SIGNALBOX_DATA_DIR") or Path(platformdirs.user_data_dir("signalbox")),
        secrets_dirs=_secrets_dirs(given),
        mexc=MexcEndpoints(
            rest_url=_url(given, "SIGNALBOX_MEXC_REST_URL", LIVE_ENDPOINTS.rest_url, ("http", "https")).rstrip("/"),
            ws_url=_url(given, "SIGNALBOX_MEXC_WS_URL", LIVE_ENDPOINTS.ws_url, ("ws", "wss")),
            calendar_url=_url(given, "SIGNALBOX_MEXC_CALENDAR_URL", LIVE_ENDPOINTS.calendar_url, ("http", "https")),
        ),
        log_level=LogLevel(_one_of("SIGNALBOX_LOG_LEVEL", log_level, [level.value for level in LogLevel])),
        log_format=LogFormat(_one_of("SIGNALBOX_LOG_FORMAT", log_format, [kind.value for kind in LogFormat])),
        operator=given.get("SIGNALBOX_OPERATOR", "").strip() or _login_name(),
    )


def account_variables(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that carry account secrets. Only `app.secrets` asks for them."""
    return {name: value for name, value in _environment(environment).items() if name.startswith(ACCOUNT_PREFIX)}


def child_environment(**changes: str) -> dict[str, str]:
    """The environment for a process that we start: ours with `changes`."""
    return {**os.environ, **changes}


KNOWN = (
    "SIGNALBOX_DATABASE_URL",
    "SIGNALBOX_DATABASE_NAME",
    "SIGNALBOX_DATA_DIR",
    "SIGNALBOX_SECRETS_DIR",
    "SIGNALBOX_MEXC_REST_URL",
    "SIGNALBOX_MEXC_WS_URL",
    "SIGNALBOX_MEXC_CALENDAR_URL",
    "SIGNALBOX_LOG_LEVEL",
    "SIGNALBOX_LOG_FORMAT",
    "SIGNALBOX_OPERATOR",
)
"""Every name that this version understands."""


def _environment(environment: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environment is None else environment


def _refuse_unknown(given: Mapping[str, str]) -> None:
    for name in sorted(given):
        if not name.startswith(PREFIX) or name in KNOWN or name.startswith(FOREIGN_PREFIXES):
            continue
        near = difflib.get_close_matches(name, KNOWN, n=1)
        advice = f"did you mean {near[0]}?" if near else f"known names: {', '.join(KNOWN)}"
        raise ConfigError(f"{name} is not a setting of Signalbox: {advice}")


def _one_of(name: str, value: str, allowed: list[str]) -> str:
    chosen = value.strip().lower()
    if chosen not in allowed:
        raise ConfigError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return chosen


def _database_url(given: Mapping[str, str]) -> str | None:
    url = given.get("SIGNALBOX_DATABASE_URL")
    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("postgresql", "postgres") or len(parts.path) < 2:
        raise ConfigError(  # the value may hold a password, so it is not repeated
            "SIGNALBOX_DATABASE_URL must look like postgresql://user:password@host:5432/database,"
            f" got the scheme {parts.scheme or 'none'!r} and the database {parts.path.strip('/') or 'none'!r}"
        )
    return url


def _database_name(given: Mapping[str, str]) -> str:
    name = given.get("SIGNALBOX_DATABASE_NAME", "signalbox")
    if not (name.isascii() and name.isidentifier() and name == name.lower() and len(name) <= 63):
        raise ConfigError(
            "SIGNALBOX_DATABASE_NAME must be 1 to 63 lower-case letters, digits and underscores,"
            f" not starting with a digit, got {name!r}"
        )
    return name


def _directory(given: Mapping[str, str], name: str) -> Path | None:
    text = given.get(name)
    if text is None:
        return None
    path = Path(text).expanduser()
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{name} must be a directory, got the file {text!r}")
    return path.absolute()


def _secrets_dirs(given: Mapping[str, str]) -> tuple[Path, ...]:
    """Our own setting, else where systemd, else where Docker and Kubernetes put secrets."""
    own = _directory(given, "SIGNALBOX_SECRETS_DIR")
    if own is not None:
        return (own,)
    systemd = given.get("CREDENTIALS_DIRECTORY")
    return tuple(Path(text) for text in (systemd, "/run/secrets") if text)


def _url(given: Mapping[str, str], name: str, default: str, schemes: tuple[str, ...]) -> str:
    text = given.get(name, default).strip()
    rule = f"{name} must be a URL that starts with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ConfigError(f"{rule}, got {text!r} ({error})") from None
    if parts.scheme not in schemes or not parts.hostname or not port_is_valid:
        raise ConfigError(f"{rule} and names a host, got {text!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(f"{rule}, without user, query or fragment, got one for host {parts.hostname!r}")
    return text


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a uid without a name, as containers have
        return f"uid {os.getuid()}"
