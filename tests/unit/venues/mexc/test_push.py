"""The protobuf schema against wire samples, and how it bears damage."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from tests.unit.venues.mexc.payloads import frame

from signalbox.venues.mexc.push_pb2 import Push

DEALS, ORDER = "ws_push_aggre_deals.json", "ws_push_private_orders.json"


def test_deals() -> None:
    push = Push.FromString(frame(DEALS))
    assert push.channel == "spot@public.aggre.deals.v3.api.pb@100ms@ABCUSDT"
    assert (push.symbol, push.send_time, push.WhichOneof("body")) == ("ABCUSDT", 1767225600123, "public_aggre_deals")
    [deal] = push.public_aggre_deals.deals
    assert (deal.price, deal.quantity, deal.trade_type, deal.time) == ("0.5", "20", 1, 1767225600120)


def test_private_order() -> None:
    push = Push.FromString(frame(ORDER))
    order = push.private_orders
    assert (order.id, order.client_id) == ("C02__900000000000000001", "sb-0001")
    assert (order.order_type, order.trade_type, order.status) == (5, 1, 2)
    assert (order.avg_price, order.cumulative_quantity, order.cumulative_amount) == ("0.5", "47.61", "23.805")


@pytest.mark.parametrize("name", [DEALS, ORDER])
def test_a_cut_push_is_an_error_or_less_data_but_never_a_crash(name: str) -> None:
    whole = frame(name)
    for length in range(len(whole)):
        try:
            Push.FromString(whole[:length])
        except DecodeError:
            continue


def test_fields_of_a_later_schema_are_ignored() -> None:
    later = frame(DEALS) + bytes.fromhex("fa1f03616263")  # field 511, three bytes
    assert Push.FromString(later).symbol == "ABCUSDT"


def test_the_generated_code_is_that_of_the_schema(tmp_path: Path) -> None:
    source = Path(__file__).parents[4] / "src"
    schema = "signalbox/venues/mexc/push.proto"
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{source}",
        f"--python_out={tmp_path}",
        str(source / schema),
    ]
    subprocess.run(command, check=True, timeout=60)  # noqa: S603 - our own interpreter on our own file
    made = schema.replace(".proto", "_pb2.py")
    assert (tmp_path / made).read_text() == (source / made).read_text(), "run: make proto"
