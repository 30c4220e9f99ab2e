"""Settings: defaults, every rule, near misses, and what counts as a simulated exchange."""

from pathlib import Path

import pytest

from signalbox.app.settings import LogLevel, is_loopback, load_settings
from signalbox.domain.errors import ConfigError

SIMULATOR = {
    "SIGNALBOX_MEXC_REST_URL": "http://127.0.0.1:4000",
    "SIGNALBOX_MEXC_WS_URL": "ws://127.0.0.1:4000/ws",
    "SIGNALBOX_MEXC_CALENDAR_URL": "http://127.0.0.1:4000/calendar",
}


def test_defaults_point_at_the_real_exchange_and_the_users_data_directory() -> None:
    settings = load_settings({})
    assert settings.mexc.rest_url == "https://api.mexc.com"
    assert settings.mexc.ws_url == "wss://wbs-api.mexc.com/ws"
    assert settings.database_url is None
    assert settings.data_dir.name == "signalbox"
    assert settings.log_level is LogLevel.INFO
    assert settings.operator
    assert not settings.simulated_exchange
    assert settings.warnings == []


def test_an_unknown_name_is_refused_with_the_near_miss() -> None:
    with pytest.raises(ConfigError, match=r"SIGNALBOX_MEXC_REST_URI is not a setting.*mean SIGNALBOX_MEXC_REST_URL\?"):
        load_settings({"SIGNALBOX_MEXC_REST_URI": "http://127.0.0.1"})


def test_an_unknown_name_without_a_near_miss_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known names: SIGNALBOX_DATABASE_URL"):
        load_settings({"SIGNALBOX_ZZZZZZZZZZZZZZZZZZZZZZZ": "1"})


def test_names_of_others_are_left_alone() -> None:
    load_settings(
        {
            "SIGNALBOX_ACCOUNT_MAIN_API_KEY": "k",
            "SIGNALBOX_TEST_DATABASE_URL": "x",
            "SIGNALBOX_CONFORMANCE_PYTHON": "x",
            "PATH": "/bin",
        }
    )


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("SIGNALBOX_MEXC_REST_URL", "ftp://host", "must be a URL that starts with http:// or https://"),
        ("SIGNALBOX_MEXC_REST_URL", "https://", "names a host"),
        ("SIGNALBOX_MEXC_REST_URL", "https://host:99999", "must be a URL"),
        ("SIGNALBOX_MEXC_REST_URL", "https://host?x=1", "without user, query or fragment"),
        ("SIGNALBOX_MEXC_WS_URL", "https://host", "ws:// or wss://"),
        ("SIGNALBOX_LOG_LEVEL", "loud", "must be one of debug, info, warning, error, got 'loud'"),
        ("SIGNALBOX_LOG_FORMAT", "xml", "must be one of auto, json, console"),
        ("SIGNALBOX_DATABASE_URL", "mysql://host/x", "must look like postgresql://"),
        ("SIGNALBOX_DATABASE_URL", "postgresql://host", "the database 'none'"),
        ("SIGNALBOX_DATABASE_NAME", "No Good", "lower-case letters"),
    ],
)
def test_a_bad_value_is_refused_with_name_and_rule(name: str, value: str, rule: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({name: value})
    assert name in str(caught.value)
    assert rule in str(caught.value)


def test_a_refused_database_url_does_not_show_its_password() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"SIGNALBOX_DATABASE_URL": "mysql://u:hunter2hunter2@host/x"})
    assert "hunter2" not in str(caught.value)


def test_the_repr_does_not_show_the_databases_password() -> None:
    settings = load_settings({"SIGNALBOX_DATABASE_URL": "postgresql://u:hunter2hunter2@host/x"})
    assert "hunter2" not in repr(settings)


def test_an_empty_value_counts_as_absent() -> None:
    assert load_settings({"SIGNALBOX_DATABASE_URL": " ", "SIGNALBOX_LOG_LEVEL": ""}).database_url is None


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    with pytest.raises(ConfigError, match="SIGNALBOX_DATA_DIR must be a directory"):
        load_settings({"SIGNALBOX_DATA_DIR": str(file)})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]", "exchange.localhost"])
def test_a_venue_on_this_machine_is_a_simulated_exchange(host: str) -> None:
    settings = load_settings({"SIGNALBOX_MEXC_REST_URL": f"http://{host}:4000"})
    assert settings.simulated_exchange


@pytest.mark.parametrize("url", ["https://api.mexc.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "http://"])
def test_other_hosts_are_not_this_machine(url: str) -> None:
    assert not is_loopback(url)


def test_sources_on_different_exchanges_are_warned_about() -> None:
    assert load_settings(SIMULATOR).warnings == []
    mixed = {name: url for name, url in SIMULATOR.items() if name != "SIGNALBOX_MEXC_CALENDAR_URL"}
    (warning,) = load_settings(mixed).warnings
    assert "SIGNALBOX_MEXC_CALENDAR_URL is not" in warning


def test_plain_http_to_another_machine_is_warned_about() -> None:
    warnings = load_settings({"SIGNALBOX_MEXC_REST_URL": "http://10.0.0.1"}).warnings
    assert any("plain http" in warning for warning in warnings)


def test_secrets_are_looked_for_where_the_operator_says_else_where_systemd_and_docker_put_them(tmp_path: Path) -> None:
    own = load_settings({"SIGNALBOX_SECRETS_DIR": str(tmp_path), "CREDENTIALS_DIRECTORY": "/run/credentials/x"})
    assert own.secrets_dirs == (tmp_path,)
    systemd = load_settings({"CREDENTIALS_DIRECTORY": "/run/credentials/x"})
    assert systemd.secrets_dirs == (Path("/run/credentials/x"), Path("/run/secrets"))
