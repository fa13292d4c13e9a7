"""What a text costs, from the dated price records: segments × price + the carriers' fee."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.clock import now
from app.domain.phones import country_of
from app.domain.sending.segments import Segments, count
from app.models.price import PriceRecord


@dataclass(frozen=True)
class Estimate:
    """`micros` is None when no price is on record for that country; `parts` are (item, quantity, micros each)."""

    micros: int | None
    currency: str
    segments: Segments
    country: str
    source: str
    parts: tuple[tuple[str, int, int], ...] = ()


def records_for(session: Session, country: str, provider: str = "twilio") -> dict[str, PriceRecord]:
    """The prices in force today by item; a price for the country wins over one for everywhere."""
    rows = session.scalars(
        select(PriceRecord)
        .where(
            PriceRecord.provider == provider,
            PriceRecord.country.in_([country, "*"]),
            PriceRecord.valid_from <= now().date(),
        )
        .order_by(PriceRecord.country == "*", PriceRecord.valid_from.desc())
    )
    found: dict[str, PriceRecord] = {}
    for row in rows:
        found.setdefault(row.item, row)
    return found


def estimate(session: Session, to: str, body: str, media_count: int = 0) -> Estimate:
    segments = count(body)
    country = country_of(to)
    prices = records_for(session, country)
    item, quantity = ("mms_out", 1) if media_count else ("sms_out", max(1, segments.segments))
    price, carrier = prices.get(item), prices.get("carrier_out")
    if price is None:
        return Estimate(None, "USD", segments, country, "")
    parts = [(item, quantity, price.micros)]
    if carrier is not None and carrier.currency == price.currency:
        parts.append(("carrier_out", quantity, carrier.micros))
    total = sum(number * each for _, number, each in parts)
    return Estimate(total, price.currency, segments, country, price.source, tuple(parts))
