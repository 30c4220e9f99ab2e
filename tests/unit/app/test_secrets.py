"""Credentials: three places, in order; missing ones are named; nothing is ever shown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from signalbox.app.secrets import CredentialSource, variable_name
from signalbox.app.settings import load_settings
from signalbox.domain.errors import ConfigError

NO_KEYRING: Callable[[str], str | None] = lambda _entry: None  # noqa: E731 - a fake, as short as it is


def source(
    directory: Path, variables: dict[str, str] | None = None, keyring: Callable[[str], str | None] = NO_KEYRING
) -> CredentialSource:
    settings = load_settings({"SIGNALBOX_SECRETS_DIR": str(directory)})
    return CredentialSource(settings, variables=variables or {}, keyring=keyring)


def write(directory: Path, *, value: str = "secret-from-file") -> None:
    (directory / "main.api_key").write_text("key-from-file\n", encoding="utf-8")
    (directory / "main.api_secret").write_text(value + "\n", encoding="utf-8")


def test_a_label_becomes_an_environment_name() -> None:
    assert variable_name("my-main.2", "api_key") == "SIGNALBOX_ACCOUNT_MY_MAIN_2_API_KEY"


def test_the_environment_comes_first(tmp_path: Path) -> None:
    write(tmp_path)
    variables = {"SIGNALBOX_ACCOUNT_MAIN_API_KEY": "key-env", "SIGNALBOX_ACCOUNT_MAIN_API_SECRET": "secret-env"}
    found = source(tmp_path, variables).credentials("main")
    assert (found.api_key, found.api_secret.reveal()) == ("key-env", "secret-env")


def test_files_come_second_and_lose_their_line_end(tmp_path: Path) -> None:
    write(tmp_path)
    found = source(tmp_path).credentials("main")
    assert (found.api_key, found.api_secret.reveal()) == ("key-from-file", "secret-from-file")


def test_the_keyring_comes_last(tmp_path: Path) -> None:
    entries = {"main.api_key": "key-ring", "main.api_secret": "secret-ring"}
    found = source(tmp_path, keyring=entries.get).credentials("main")
    assert (found.api_key, found.api_secret.reveal()) == ("key-ring", "secret-ring")


def test_a_rotated_file_is_seen(tmp_path: Path) -> None:
    write(tmp_path)
    secrets = source(tmp_path)
    secrets.credentials("main")
    write(tmp_path, value="a-new-secret")
    assert secrets.credentials("main").api_secret.reveal() == "a-new-secret"


def test_missing_credentials_are_named_with_the_three_ways(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        source(tmp_path).credentials("main")
    text = str(caught.value)
    assert "no API key and API secret" in text
    assert "SIGNALBOX_ACCOUNT_MAIN_API_KEY and SIGNALBOX_ACCOUNT_MAIN_API_SECRET" in text
    assert f"main.api_key and main.api_secret into {tmp_path}" in text
    assert "keyring set signalbox main.api_secret" in text


def test_only_the_missing_part_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        source(tmp_path, {"SIGNALBOX_ACCOUNT_MAIN_API_KEY": "key-env"}).credentials("main")
    assert "SIGNALBOX_ACCOUNT_MAIN_API_SECRET" in str(caught.value)
    assert "SIGNALBOX_ACCOUNT_MAIN_API_KEY" not in str(caught.value)


def test_finding_tells_places_and_never_values(tmp_path: Path) -> None:
    write(tmp_path)
    found = source(tmp_path).find("main")
    assert found.complete
    assert "secret-from-file" not in repr(found)
    assert found.api_key_from == str(tmp_path / "main.api_key")


def test_credentials_do_not_show_themselves(tmp_path: Path) -> None:
    write(tmp_path)
    found = source(tmp_path).credentials("main")
    assert "from-file" not in f"{found!r} {found} {found.api_secret!r}"


@pytest.mark.parametrize("value", ["two words", "line\nline", "ключ", "x" * 5000])
def test_what_is_no_credential_is_refused_without_showing_it(tmp_path: Path, value: str) -> None:
    write(tmp_path, value=value)
    with pytest.raises(ConfigError, match="is no API credential") as caught:
        source(tmp_path).credentials("main")
    assert value not in str(caught.value)


def test_a_label_cannot_leave_the_secrets_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="label must be"):
        source(tmp_path).credentials("../main")


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "main.api_key").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        source(tmp_path).find("main")
