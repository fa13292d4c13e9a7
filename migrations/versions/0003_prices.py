"""Prices of texts as they were published; later prices are later records."""

import datetime
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

SMS_PAGE = "twilio.com/en-us/sms/pricing/us, read by third parties 2026-10"
CARRIERS = "average of the carriers' published A2P fees, 2025"

# item, country, USD in millionths, valid from, source
PRICES = (
    ("sms_out", "US", 7_900, "2025-01-01", "twilio.com/en-us/sms/pricing/us, 2025"),
    ("sms_in", "US", 7_900, "2025-01-01", "twilio.com/en-us/sms/pricing/us, 2025"),
    ("sms_out", "US", 8_300, "2026-10-01", SMS_PAGE),
    ("sms_in", "US", 8_300, "2026-10-01", SMS_PAGE),
    ("sms_out", "CA", 8_300, "2026-10-01", SMS_PAGE),
    ("sms_in", "CA", 8_300, "2026-10-01", SMS_PAGE),
    ("mms_out", "US", 22_000, "2025-01-01", "twilio.com/en-us/sms/pricing/us, 2025"),
    ("mms_in", "US", 16_500, "2025-01-01", "twilio.com/en-us/sms/pricing/us, 2025"),
    ("carrier_out", "US", 3_000, "2025-01-01", CARRIERS),
)


def upgrade() -> None:
    table = sa.table(
        "price_records",
        sa.column("id", sa.Uuid),
        sa.column("provider"),
        sa.column("item"),
        sa.column("country"),
        sa.column("currency"),
        sa.column("micros", sa.Integer),
        sa.column("valid_from", sa.Date),
        sa.column("source"),
    )
    op.bulk_insert(
        table,
        [
            {
                "id": uuid.uuid4(),
                "provider": "twilio",
                "item": item,
                "country": country,
                "currency": "USD",
                "micros": micros,
                "valid_from": datetime.date.fromisoformat(valid_from),
                "source": source,
            }
            for item, country, micros, valid_from, source in PRICES
        ],
    )


def downgrade() -> None:
    op.execute("delete from price_records where provider = 'twilio'")
