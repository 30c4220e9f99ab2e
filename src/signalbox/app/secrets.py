"""Where the credentials of an account come from: the environment, a secrets directory, or the OS keyring.

They never come from the database, and nothing here prints them.
"""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from signalbox.app.settings import ACCOUNT_PREFIX, Settings, account_variables
from signalbox.control.accounts import check_label, variable_part
from signalbox.domain.credentials import Credentials, Secret
from signalbox.domain.errors import ConfigError
from signalbox.observability.logging import register_secret

KEYRING_SERVICE: Final = "signalbox"
ENVIRONMENT: Final = "environment"
_LENGTH_MAX = 4096
_PARTS: Final = ("api_key", "api_secret")


class FoundSecrets(Struct, frozen=True, kw_only=True):
    """Where each part of an account's credentials was found; None for a part that is missing."""

    label: str
    api_key_from: str | None
    api_secret_from: str | None

    @property
    def complete(self) -> bool:
        """True when both parts are there."""
        return self.api_key_from is not None and self.api_secret_from is not None


def variable_name(label: str, part: str) -> str:
    """The environment variable of one part: the label in upper case, anything but letters and digits as `_`."""
    return f"{ACCOUNT_PREFIX}{variable_part(label)}_{part.upper()}"


class CredentialSource:
    """Looks up credentials by account label. Each look-up reads anew, so a rotated secret is seen."""

    def __init__(
        self,
        settings: Settings,
        *,
        variables: Mapping[str, str] | None = None,
        keyring: Callable[[str], str | None] | None = None,
    ) -> None:
        self._directories = settings.secrets_dirs
        self._variables = variables
        self._keyring = _ask_keyring if keyring is None else keyring

    def credentials(self, label: str) -> Credentials:
        """The credentials of an account. Raises ConfigError naming what is missing and how to give it."""
        values = {part: self._find(label, part) for part in _PARTS}
        missing = [part for part, found in values.items() if found is None]
        if missing:
            raise ConfigError(self.missing_text(label, missing))
        key, secret = (found[0] for found in values.values() if found is not None)
        register_secret(key)
        register_secret(secret)
        return Credentials(api_key=key, api_secret=Secret(secret))

    def find(self, label: str) -> FoundSecrets:
        """Where the parts are, without their values. Raises ConfigError when a place cannot be read."""
        key, secret = (self._find(label, part) for part in _PARTS)
        return FoundSecrets(
            label=label, api_key_from=key[1] if key else None, api_secret_from=secret[1] if secret else None
        )

    def look(self, label: str) -> tuple[object, ...]:
        """Something that differs whenever a file that may hold a part of the credentials was changed. The environment
        of a running process does not change, and a keyring is not asked: that may take long."""
        check_label(label)
        return tuple(_stamp(directory / f"{label}.{part}") for directory in self._directories for part in _PARTS)

    def places(self, label: str) -> list[str]:
        """Where the parts come from that are in the environment or in files. Raises ConfigError when one of these
        cannot be read."""
        found = (self._find(label, part, ask_keyring=False) for part in _PARTS)
        return [part[1] for part in found if part is not None]

    def missing(self, label: str) -> str | None:
        """What is missing and how to give it, None when both parts are there."""
        missing = [part for part in _PARTS if self._find(label, part) is None]
        return self.missing_text(label, missing) if missing else None

    def missing_text(self, label: str, missing: list[str]) -> str:
        """What is missing for an account, and the three ways to give it."""
        names = " and ".join(variable_name(label, part) for part in missing)
        files = " and ".join(f"{label}.{part}" for part in missing)
        where = str(self._directories[0]) if self._directories else "the directory that SIGNALBOX_SECRETS_DIR names"
        entries = " and ".join(f"'keyring set {KEYRING_SERVICE} {label}.{part}'" for part in missing)
        what = " and ".join(part.replace("_", " ").replace("api", "API") for part in missing)
        return (
            f"Account {label!r} has no {what}. Give it in one of three ways: set {names} in the environment;"
            f" put {files} into {where}; or store it in the OS keyring with {entries}."
        )

    def _find(self, label: str, part: str, *, ask_keyring: bool = True) -> tuple[str, str] | None:
        """(value, place) of one part."""
        check_label(label)
        name = variable_name(label, part)
        variables = account_variables() if self._variables is None else self._variables
        if value := variables.get(name, "").strip():
            return _checked(value, f"{ENVIRONMENT} {name}"), f"{ENVIRONMENT} {name}"
        for directory in self._directories:
            path = directory / f"{label}.{part}"
            if value := _read(path):
                return _checked(value, str(path)), str(path)
        if ask_keyring and (value := (self._keyring(f"{label}.{part}") or "").strip()):
            place = f"OS keyring, service {KEYRING_SERVICE!r}, entry {label}.{part}"
            return _checked(value, place), place
        return None


def _checked(value: str, place: str) -> str:
    """Credentials travel in an HTTP header, so they are one line of printable ASCII. Never shows the value."""
    if len(value) > _LENGTH_MAX or not value.isascii() or not value.isprintable() or " " in value:
        raise ConfigError(f"What {place} holds is no API credential: it must be one line of printable ASCII.")
    return value


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_LENGTH_MAX + 2).strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The secret file {path} cannot be read: {error}. Check its owner and mode.") from error


def _ask_keyring(entry: str) -> str | None:
    """The OS keyring, if the optional package `keyring` is installed and has a backend that answers."""
    try:
        keyring: Any = importlib.import_module("keyring")
        errors: Any = importlib.import_module("keyring.errors")
    except ImportError:
        return None
    try:
        value = keyring.get_password(KEYRING_SERVICE, entry)
    except errors.KeyringError:  # none here, or locked: the other two ways are still open
        return None
    return value if isinstance(value, str) else None
