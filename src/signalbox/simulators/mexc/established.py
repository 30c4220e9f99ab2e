"""The pairs that are there from the start: well-known ones, odd spellings, and quiet fillers for large catalogues.

Prices are invented round figures. The odd spellings follow what the live catalogue contains: Chinese characters,
punctuation, and names that begin with a digit.
"""

from dataclasses import dataclass
from decimal import Decimal

from signalbox.simulators.market import Seeds
from signalbox.simulators.mexc.instruments import Rules, Timetable
from signalbox.simulators.mexc.pairs import ESTABLISHED_STEP_MS, QUIET_STEP_MS, Pair, price_process

YEAR_MS = 365 * 86_400_000


@dataclass(frozen=True, slots=True)
class _Seedling:
    base: str
    price: str
    price_scale: int
    quantity_scale: int
    name: str
    quote: str = "USDT"
    percent_price: str | None = "0.2"
    api_tradable: bool = True
    notional: int = 40_000


_ESTABLISHED = (
    _Seedling("BTC", "91000", 2, 6, "Bitcoin", percent_price="0.005", notional=400_000),
    _Seedling("ETH", "3050", 2, 5, "Ethereum", percent_price="0.02", notional=200_000),
    _Seedling("SOL", "142.5", 2, 3, "Solana", percent_price="0.02", notional=100_000),
    _Seedling("XRP", "2.21", 4, 2, "XRP", percent_price="0.1"),
    _Seedling("BNB", "910", 2, 4, "BNB", percent_price="0.1"),
    _Seedling("DOGE", "0.158", 5, 2, "Dogecoin"),
    _Seedling("ADA", "0.472", 4, 2, "Cardano"),
    _Seedling("TRX", "0.285", 4, 2, "Tron"),
    _Seedling("LINK", "13.4", 3, 3, "Chainlink"),
    _Seedling("AVAX", "14.1", 2, 3, "Avalanche"),
    _Seedling("DOT", "2.75", 3, 3, "Polkadot"),
    _Seedling("LTC", "92.4", 2, 4, "Litecoin"),
    _Seedling("UNI", "7.2", 3, 3, "Uniswap"),
    _Seedling("PEPE", "0.00000482", 11, 0, "Pepe"),
    _Seedling("SHIB", "0.0000085", 10, 0, "Shiba Inu"),
    _Seedling("SUI", "1.62", 4, 2, "Sui"),
    _Seedling("MX", "2.05", 4, 2, "MX Token"),
    _Seedling("USDC", "1.0001", 4, 2, "USD Coin"),
    _Seedling("ETH", "0.0335", 6, 4, "Ethereum", quote="BTC", notional=2),
    _Seedling("ETH", "3049", 2, 5, "Ethereum", quote="USDC"),
    _Seedling("索拉拉", "0.0021", 7, 2, "索拉拉", notional=2_000),
    _Seedling("GOLD(PAXG)", "4080", 2, 4, "Gold (PAX)", notional=20_000),
    _Seedling("4", "0.083", 5, 2, "Four", notional=4_000),
    _Seedling("67", "0.0119", 6, 2, "Sixty-Seven", notional=2_000),
    _Seedling("WEBONLY", "0.51", 4, 2, "Traded on the website only", api_tradable=False, notional=3_000),
)


def coin_id(base: str) -> str:
    """A stable made-up internal coin id, as the calendar and private pushes carry it."""
    return f"{sum(byte * 31**place for place, byte in enumerate(base.encode())) % 16**12:012x}"


def established_pairs(seeds: Seeds, now_ms: int, filler_count: int) -> list[Pair]:
    """All pairs that trade when the simulator starts."""
    pairs = [_pair(seeds, seedling, now_ms, ESTABLISHED_STEP_MS) for seedling in _ESTABLISHED]
    draw = seeds.source("fillers")
    for number in range(filler_count):
        price = Decimal(draw.randint(1_000, 9_000_000)).scaleb(-6)
        seedling = _Seedling(f"FILL{number:04d}", str(price), 6, 2, f"Filler {number}", notional=1_000)
        pairs.append(_pair(seeds, seedling, now_ms, QUIET_STEP_MS))
    return pairs


def _pair(seeds: Seeds, seedling: _Seedling, now_ms: int, step_ms: int) -> Pair:
    symbol = seedling.base + seedling.quote
    rules = Rules(
        symbol=symbol,
        base=seedling.base,
        quote=seedling.quote,
        full_name=seedling.name,
        coin_id=coin_id(seedling.base),
        quantity_scale=seedling.quantity_scale,
        price_scale=seedling.price_scale,
        min_notional=Decimal("0.0001") if seedling.quote == "BTC" else Decimal(1),
        percent_price=None if seedling.percent_price is None else Decimal(seedling.percent_price),
    )
    opened = now_ms - YEAR_MS - seeds.source(f"age/{symbol}").randrange(YEAR_MS)
    opened -= opened % 60_000
    timetable = Timetable(
        opens_at_ms=opened,
        published_open_ms=opened,
        calendar_from_ms=None,
        visible_from_ms=opened,
        status_online_at_ms=opened,
        api_from_ms=opened if seedling.api_tradable else None,
    )
    price = Decimal(seedling.price)
    pair = Pair(
        rules,
        timetable,
        price_process(seeds, symbol, price, "walk", step_ms),
        seeds,
        fresh=False,
        depth_notional=Decimal(seedling.notional),
        epoch_ms=now_ms - seeds.source(f"phase/{symbol}").randrange(step_ms),
    )
    pair.tape.invent_history(seeds, symbol, price, now_ms, minutes=120 if step_ms < QUIET_STEP_MS else 2)
    return pair
