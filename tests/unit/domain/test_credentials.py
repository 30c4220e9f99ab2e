"""A secret shows itself nowhere."""

import copy
import pickle
import traceback

import msgspec
import pytest

from signalbox.domain.credentials import Credentials, Secret

VALUE = "0123456789abcdef"


def test_a_secret_is_masked_everywhere_but_revealed() -> None:
    secret = Secret(VALUE)
    for text in (repr(secret), str(secret), f"{secret}", f"{secret:>20}", "%s" % secret, repr([secret])):  # noqa: UP031
        assert VALUE not in text
        assert "***" in text
    assert secret.reveal() == VALUE


def test_credentials_mask_key_and_secret() -> None:
    credentials = Credentials(api_key="mx0public", api_secret=Secret(VALUE))
    assert repr(credentials) == "Credentials(api_key=***, api_secret=***)"
    error = ValueError(f"bad: {credentials}")
    assert VALUE not in "".join(traceback.format_exception(error))


def test_a_secret_does_not_leave_the_process() -> None:
    with pytest.raises(TypeError, match="Secret"):
        pickle.dumps(Secret(VALUE))
    with pytest.raises(TypeError):
        msgspec.json.encode(Credentials(api_key="k", api_secret=Secret(VALUE)))
    with pytest.raises(TypeError):
        copy.copy(Secret(VALUE))


def test_an_empty_secret_is_false_and_equal_secrets_are_equal() -> None:
    assert not Secret("")
    assert Secret("a") == Secret("a") != Secret("b")
