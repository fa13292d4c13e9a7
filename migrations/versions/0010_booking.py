"""Booking: schedules, calendars, appointments and their guests, linked calendars, notices; connections by OAuth.

Two functions look behind the fence for whoever cannot name an account. `people_busy` says when people are taken in any
account, as times only, since a person who works for two businesses is one person. `booking_work` says what is due, as ids
only; the job that does it enters the account first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.fence import APP_ROLE, fence

revision = "0010"
down_revision = "0009"

TENANT_TABLES = (
    "appointment_hosts",
    "appointments",
    "booking_notices",
    "bookings",
    "busy_times",
    "calendar_hosts",
    "calendars",
    "notice_rules",
    "schedule_dates",
    "schedules",
    "waitlist_entries",
)
PEOPLE_BUSY = """
create function people_busy(people uuid[], since timestamptz, until timestamptz, at timestamptz)
returns table (user_id uuid, starts_at timestamptz, ends_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select h.user_id, lower(h.during), upper(h.during)
    from appointment_hosts h join appointments a on a.id = h.appointment_id
    where h.blocks and h.user_id = any (people) and h.during && tstzrange(since, until)
      and (a.hold_until is null or a.hold_until > at)
$$
"""
BOOKING_WORK = """
create function booking_work(at timestamptz, most integer)
returns table (kind text, account_id uuid, row_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    (select 'hold', a.account_id, a.id from appointments a
     where a.state = 'held' and a.hold_until <= at order by a.hold_until limit most)
    union all
    (select 'event', a.account_id, a.id from appointments a
     where a.event_state = 'due' and a.event_run_at <= at
       and (a.event_lease_until is null or a.event_lease_until < at)
     order by a.event_run_at limit most)
    union all
    (select 'notice', n.account_id, n.id from booking_notices n
     where n.state = 'waiting' and n.due_at <= at order by n.due_at limit most)
$$
"""
FUNCTIONS = {
    "people_busy(uuid[], timestamptz, timestamptz, timestamptz)": PEOPLE_BUSY,
    "booking_work(timestamptz, integer)": BOOKING_WORK,
}
STATES = "('connected', 'pending_review', 'degraded', 'reconnect_needed', 'revoked', 'disconnected')"
OLD_STATES = "('connected', 'degraded', 'reconnect_needed', 'disconnected')"


def upgrade() -> None:
    # An exclusion constraint that compares a person as well as a time.
    op.execute("create extension if not exists btree_gist")
    _widen_connections()
    _create_tables()
    for table in TENANT_TABLES:
        fence(table)
    for signature, definition in FUNCTIONS.items():
        op.execute(definition)
        op.execute(f"revoke execute on function {signature} from public")
        op.execute(f"grant execute on function {signature} to {APP_ROLE}")


def _create_tables() -> None:
    op.create_table(
        "calendars",
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), server_default="", nullable=False),
        sa.Column("kind", sa.String(), server_default="personal", nullable=False),
        sa.Column("colour", sa.String(), server_default="teal", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "durations", postgresql.ARRAY(sa.Integer()), server_default=sa.text("'{30}'"), nullable=False
        ),
        sa.Column("buffer_before", sa.Integer(), server_default="0", nullable=False),
        sa.Column("buffer_after", sa.Integer(), server_default="0", nullable=False),
        sa.Column("step", sa.Integer(), server_default="30", nullable=False),
        sa.Column("notice_minutes", sa.Integer(), server_default="240", nullable=False),
        sa.Column("horizon_days", sa.Integer(), server_default="60", nullable=False),
        sa.Column("cap_day", sa.Integer(), nullable=True),
        sa.Column("cap_week", sa.Integer(), nullable=True),
        sa.Column("seats", sa.Integer(), server_default="1", nullable=False),
        sa.Column("has_waitlist", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("max_guests", sa.Integer(), server_default="0", nullable=False),
        sa.Column("location_kind", sa.String(), server_default="phone", nullable=False),
        sa.Column("location_text", sa.String(), server_default="", nullable=False),
        sa.Column(
            "questions",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("consent_text", sa.String(), server_default="", nullable=False),
        sa.Column("price_cents", sa.Integer(), server_default="0", nullable=False),
        sa.Column("currency", sa.String(), server_default="USD", nullable=False),
        sa.Column("zone_locked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("needs_approval", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("change_until_minutes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("when_moved", sa.String(), server_default="change", nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind in ('personal', 'round_robin', 'collective', 'class')", name=op.f("ck_calendars_kind")
        ),
        sa.CheckConstraint(
            "location_kind in ('phone', 'address', 'meet', 'custom')", name=op.f("ck_calendars_location_kind")
        ),
        sa.CheckConstraint("when_moved in ('change', 'ask', 'ignore')", name=op.f("ck_calendars_when_moved")),
        sa.CheckConstraint(
            "buffer_before >= 0 and buffer_after >= 0 and notice_minutes >= 0 and horizon_days > 0",
            name=op.f("ck_calendars_times"),
        ),
        sa.CheckConstraint(
            "cardinality(durations) > 0 and seats > 0 and step > 0", name=op.f("ck_calendars_sizes")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_calendars_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendars")),
        sa.UniqueConstraint("account_id", "id", name="uq_calendars_account_id_id"),
        sa.UniqueConstraint("account_id", "slug", name=op.f("uq_calendars_account_id_slug")),
    )
    op.create_table(
        "schedules",
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column(
            "weekly", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_schedules_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_schedules_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("account_id", "id", name="uq_schedules_account_id_id"),
    )
    op.create_index("ix_schedules_account_id_user", "schedules", ["account_id", "user_id"], unique=False)
    op.create_table(
        "calendar_hosts",
        sa.Column("calendar_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("schedule_id", sa.Uuid(), nullable=True),
        sa.Column("weight", sa.Integer(), server_default="1", nullable=False),
        sa.Column("is_fallback", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("weight > 0", name=op.f("ck_calendar_hosts_weight")),
        sa.ForeignKeyConstraint(
            ["account_id", "calendar_id"],
            ["calendars.account_id", "calendars.id"],
            name=op.f("fk_calendar_hosts_account_id_calendar_id_calendars"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "schedule_id"],
            ["schedules.account_id", "schedules.id"],
            name=op.f("fk_calendar_hosts_account_id_schedule_id_schedules"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_calendar_hosts_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_calendar_hosts_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_hosts")),
        sa.UniqueConstraint(
            "account_id",
            "calendar_id",
            "user_id",
            name=op.f("uq_calendar_hosts_account_id_calendar_id_user_id"),
        ),
    )
    op.create_index(
        "ix_calendar_hosts_account_id_user", "calendar_hosts", ["account_id", "user_id"], unique=False
    )
    op.create_table(
        "linked_calendars",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), server_default="UTC", nullable=False),
        sa.Column("is_primary", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("can_write", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("checks_conflicts", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("takes_bookings", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_gone", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("cursor", sa.String(), nullable=True),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_sync_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sync_lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sync_failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sync_error", sa.String(), nullable=True),
        sa.Column("last_change_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("look_again", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("read_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("channel_ref", sa.String(), nullable=True),
        sa.Column("channel_resource_ref", sa.String(), nullable=True),
        sa.Column("channel_token_hash", sa.String(), nullable=True),
        sa.Column("channel_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_push_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_linked_calendars_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_linked_calendars_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_linked_calendars_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_linked_calendars")),
        sa.UniqueConstraint("channel_ref", name=op.f("uq_linked_calendars_channel_ref")),
        sa.UniqueConstraint(
            "connection_id", "user_id", "ref", name=op.f("uq_linked_calendars_connection_id_user_id_ref")
        ),
    )
    op.create_index(
        "ix_linked_calendars_account_id_user", "linked_calendars", ["account_id", "user_id"], unique=False
    )
    op.create_index(
        "ix_linked_calendars_next_sync",
        "linked_calendars",
        ["next_sync_at"],
        unique=False,
        postgresql_where=sa.text("next_sync_at is not null"),
    )
    op.create_index(
        "uq_linked_calendars_takes_bookings",
        "linked_calendars",
        ["account_id", "user_id"],
        unique=True,
        postgresql_where=sa.text("takes_bookings"),
    )
    op.create_table(
        "notice_rules",
        sa.Column("calendar_id", sa.Uuid(), nullable=True),
        sa.Column("occasion", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), server_default="guest", nullable=False),
        sa.Column("minutes_before", sa.Integer(), server_default="0", nullable=False),
        sa.Column("subject", sa.String(), server_default="", nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("audience in ('guest', 'host')", name=op.f("ck_notice_rules_audience")),
        sa.CheckConstraint("channel in ('sms', 'email')", name=op.f("ck_notice_rules_channel")),
        sa.CheckConstraint(
            "occasion in ('requested', 'confirmed', 'moved', 'cancelled', 'reminder', 'declined')",
            name=op.f("ck_notice_rules_occasion"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "calendar_id"],
            ["calendars.account_id", "calendars.id"],
            name=op.f("fk_notice_rules_account_id_calendar_id_calendars"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_notice_rules_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_rules")),
        sa.UniqueConstraint("account_id", "id", name="uq_notice_rules_account_id_id"),
    )
    op.create_index(
        "ix_notice_rules_account_id_calendar",
        "notice_rules",
        ["account_id", "calendar_id", "occasion"],
        unique=False,
    )
    op.create_table(
        "schedule_dates",
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column(
            "hours", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("label", sa.String(), server_default="", nullable=False),
        sa.Column("source", sa.String(), server_default="manual", nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("source in ('manual', 'holiday')", name=op.f("ck_schedule_dates_source")),
        sa.ForeignKeyConstraint(
            ["account_id", "schedule_id"],
            ["schedules.account_id", "schedules.id"],
            name=op.f("fk_schedule_dates_account_id_schedule_id_schedules"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_schedule_dates_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_dates")),
        sa.UniqueConstraint(
            "account_id", "schedule_id", "on", name=op.f("uq_schedule_dates_account_id_schedule_id_on")
        ),
    )
    op.create_table(
        "appointments",
        sa.Column("calendar_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hold_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seats", sa.Integer(), server_default="1", nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("location", sa.String(), server_default="", nullable=False),
        sa.Column("linked_calendar_id", sa.Uuid(), nullable=True),
        sa.Column("event_ref", sa.String(), nullable=True),
        sa.Column("event_etag", sa.String(), nullable=True),
        sa.Column("event_state", sa.String(), server_default="none", nullable=False),
        sa.Column("event_revision", sa.Integer(), server_default="-1", nullable=False),
        sa.Column("event_error", sa.String(), nullable=True),
        sa.Column("event_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("event_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("meet_url", sa.String(), nullable=True),
        sa.Column("asked_change", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("notes", sa.String(), server_default="", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(state = 'held') = (hold_until is not null)", name=op.f("ck_appointments_hold")),
        sa.CheckConstraint(
            "event_state in ('none', 'due', 'written', 'failed')", name=op.f("ck_appointments_event_state")
        ),
        sa.CheckConstraint(
            "state in ('held', 'requested', 'confirmed', 'cancelled')", name=op.f("ck_appointments_state")
        ),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_appointments_order")),
        sa.ForeignKeyConstraint(
            ["account_id", "calendar_id"],
            ["calendars.account_id", "calendars.id"],
            name=op.f("fk_appointments_account_id_calendar_id_calendars"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_appointments_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["linked_calendar_id"],
            ["linked_calendars.id"],
            name=op.f("fk_appointments_linked_calendar_id_linked_calendars"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointments")),
        sa.UniqueConstraint("account_id", "id", name="uq_appointments_account_id_id"),
    )
    op.create_index(
        "ix_appointments_account_id_calendar_starts",
        "appointments",
        ["account_id", "calendar_id", "starts_at"],
        unique=False,
    )
    op.create_index(
        "ix_appointments_account_id_starts", "appointments", ["account_id", "starts_at"], unique=False
    )
    op.create_index(
        "ix_appointments_event_due",
        "appointments",
        ["event_run_at"],
        unique=False,
        postgresql_where=sa.text("event_state = 'due'"),
    )
    op.create_index(
        "ix_appointments_event_ref", "appointments", ["linked_calendar_id", "event_ref"], unique=False
    )
    op.create_index(
        "ix_appointments_hold_until",
        "appointments",
        ["hold_until"],
        unique=False,
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_table(
        "busy_times",
        sa.Column("linked_calendar_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("event_ref", sa.String(), nullable=False),
        sa.Column("series_ref", sa.String(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_all_day", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("kind", sa.String(), server_default="busy", nullable=False),
        sa.Column("title", sa.String(), server_default="", nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind in ('busy', 'tentative')", name=op.f("ck_busy_times_kind")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_busy_times_order")),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_busy_times_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["linked_calendar_id"],
            ["linked_calendars.id"],
            name=op.f("fk_busy_times_linked_calendar_id_linked_calendars"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_busy_times_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_busy_times")),
        sa.UniqueConstraint(
            "account_id",
            "linked_calendar_id",
            "event_ref",
            name=op.f("uq_busy_times_account_id_linked_calendar_id_event_ref"),
        ),
    )
    op.create_index(
        "ix_busy_times_account_id_user_ends",
        "busy_times",
        ["account_id", "user_id", "ends_at", "starts_at"],
        unique=False,
    )
    op.create_table(
        "appointment_hosts",
        sa.Column("appointment_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("blocks", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("user_id"), "="),
            (sa.column("during"), "&&"),
            where=sa.text("blocks"),
            using="gist",
            name="ex_appointment_hosts_during",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "appointment_id"],
            ["appointments.account_id", "appointments.id"],
            name=op.f("fk_appointment_hosts_account_id_appointment_id_appointments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_appointment_hosts_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_appointment_hosts_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment_hosts")),
        sa.UniqueConstraint(
            "account_id",
            "appointment_id",
            "user_id",
            name=op.f("uq_appointment_hosts_account_id_appointment_id_user_id"),
        ),
    )
    op.create_index(
        "ix_appointment_hosts_account_id_user", "appointment_hosts", ["account_id", "user_id"], unique=False
    )
    op.create_table(
        "bookings",
        sa.Column("appointment_id", sa.Uuid(), nullable=False),
        sa.Column("calendar_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("guest_name", sa.String(), server_default="", nullable=False),
        sa.Column("guest_email", sa.String(), server_default="", nullable=False),
        sa.Column("guest_phone", sa.String(), server_default="", nullable=False),
        sa.Column("guest_timezone", sa.String(), server_default="UTC", nullable=False),
        sa.Column("others", postgresql.ARRAY(sa.TEXT()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "answers", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("consent_text", sa.String(), server_default="", nullable=False),
        sa.Column("consent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request_reason", sa.String(), server_default="", nullable=False),
        sa.Column("source", sa.String(), server_default="page", nullable=False),
        sa.Column("booked_by", sa.Uuid(), nullable=True),
        sa.Column("cancelled_by", sa.String(), server_default="", nullable=False),
        sa.Column("cancel_reason", sa.String(), server_default="", nullable=False),
        sa.Column("notes", sa.String(), server_default="", nullable=False),
        sa.Column("client_key", sa.String(), nullable=False),
        sa.Column("price_cents", sa.Integer(), server_default="0", nullable=False),
        sa.Column("currency", sa.String(), server_default="USD", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "state in ('held', 'requested', 'confirmed', 'cancelled', 'no_show')",
            name=op.f("ck_bookings_state"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "appointment_id"],
            ["appointments.account_id", "appointments.id"],
            name=op.f("fk_bookings_account_id_appointment_id_appointments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "calendar_id"],
            ["calendars.account_id", "calendars.id"],
            name=op.f("fk_bookings_account_id_calendar_id_calendars"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "contact_id"],
            ["contacts.account_id", "contacts.id"],
            name=op.f("fk_bookings_account_id_contact_id_contacts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_bookings_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["booked_by"], ["users.id"], name=op.f("fk_bookings_booked_by_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bookings")),
        sa.UniqueConstraint("account_id", "client_key", name=op.f("uq_bookings_account_id_client_key")),
        sa.UniqueConstraint("account_id", "id", name="uq_bookings_account_id_id"),
    )
    op.create_index(
        "ix_bookings_account_id_appointment", "bookings", ["account_id", "appointment_id"], unique=False
    )
    op.create_index(
        "ix_bookings_account_id_contact", "bookings", ["account_id", "contact_id", "starts_at"], unique=False
    )
    op.create_index(
        "ix_bookings_account_id_starts", "bookings", ["account_id", "starts_at", "id"], unique=False
    )
    op.create_table(
        "booking_notices",
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), server_default="waiting", nullable=False),
        sa.Column("outcome", sa.String(), server_default="", nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("mail_id", sa.Uuid(), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "state in ('waiting', 'sent', 'skipped', 'failed')", name=op.f("ck_booking_notices_state")
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "booking_id"],
            ["bookings.account_id", "bookings.id"],
            name=op.f("fk_booking_notices_account_id_booking_id_bookings"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "rule_id"],
            ["notice_rules.account_id", "notice_rules.id"],
            name=op.f("fk_booking_notices_account_id_rule_id_notice_rules"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_booking_notices_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_booking_notices")),
        sa.UniqueConstraint(
            "account_id",
            "booking_id",
            "rule_id",
            "revision",
            name=op.f("uq_booking_notices_account_id_booking_id_rule_id_revision"),
        ),
    )
    op.create_index(
        "ix_booking_notices_account_id_booking", "booking_notices", ["account_id", "booking_id"], unique=False
    )
    op.create_index(
        "ix_booking_notices_due",
        "booking_notices",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "waitlist_entries",
        sa.Column("calendar_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("wanted_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("wanted_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration", sa.Integer(), nullable=False),
        sa.Column("guest_timezone", sa.String(), server_default="UTC", nullable=False),
        sa.Column("state", sa.String(), server_default="waiting", nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "state in ('waiting', 'offered', 'booked', 'past', 'left')",
            name=op.f("ck_waitlist_entries_state"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "booking_id"],
            ["bookings.account_id", "bookings.id"],
            name=op.f("fk_waitlist_entries_account_id_booking_id_bookings"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "calendar_id"],
            ["calendars.account_id", "calendars.id"],
            name=op.f("fk_waitlist_entries_account_id_calendar_id_calendars"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "contact_id"],
            ["contacts.account_id", "contacts.id"],
            name=op.f("fk_waitlist_entries_account_id_contact_id_contacts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_waitlist_entries_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waitlist_entries")),
    )
    op.create_index(
        "ix_waitlist_entries_account_id_calendar",
        "waitlist_entries",
        ["account_id", "calendar_id", "state", "created_at"],
        unique=False,
    )


def _widen_connections() -> None:
    op.drop_constraint(op.f("ck_connections_state"), "connections", type_="check")
    op.create_check_constraint(op.f("ck_connections_state"), "connections", f"state in {STATES}")
    op.add_column("connections", sa.Column("user_id", sa.Uuid(), nullable=True))
    op.add_column(
        "connections",
        sa.Column("scopes", postgresql.ARRAY(sa.TEXT()), server_default=sa.text("'{}'"), nullable=False),
    )
    op.add_column(
        "connections",
        sa.Column("features", postgresql.ARRAY(sa.TEXT()), server_default=sa.text("'{}'"), nullable=False),
    )
    op.add_column("connections", sa.Column("token_version", sa.Integer(), server_default="0", nullable=False))
    op.add_column("connections", sa.Column("token_expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("connections", sa.Column("refresh_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_connections_refresh_at",
        "connections",
        ["refresh_at"],
        unique=False,
        postgresql_where=sa.text("refresh_at is not null"),
    )
    op.create_foreign_key(
        op.f("fk_connections_user_id_users"), "connections", "users", ["user_id"], ["id"], ondelete="SET NULL"
    )


def downgrade() -> None:
    for signature in FUNCTIONS:
        op.execute(f"drop function {signature}")
    op.drop_index("ix_waitlist_entries_account_id_calendar", table_name="waitlist_entries")
    op.drop_table("waitlist_entries")
    op.drop_index(
        "ix_booking_notices_due", table_name="booking_notices", postgresql_where=sa.text("state = 'waiting'")
    )
    op.drop_index("ix_booking_notices_account_id_booking", table_name="booking_notices")
    op.drop_table("booking_notices")
    op.drop_index("ix_bookings_account_id_starts", table_name="bookings")
    op.drop_index("ix_bookings_account_id_contact", table_name="bookings")
    op.drop_index("ix_bookings_account_id_appointment", table_name="bookings")
    op.drop_table("bookings")
    op.drop_index("ix_appointment_hosts_account_id_user", table_name="appointment_hosts")
    op.drop_table("appointment_hosts")
    op.drop_index("ix_busy_times_account_id_user_ends", table_name="busy_times")
    op.drop_table("busy_times")
    op.drop_index(
        "ix_appointments_hold_until", table_name="appointments", postgresql_where=sa.text("state = 'held'")
    )
    op.drop_index("ix_appointments_event_ref", table_name="appointments")
    op.drop_index(
        "ix_appointments_event_due",
        table_name="appointments",
        postgresql_where=sa.text("event_state = 'due'"),
    )
    op.drop_index("ix_appointments_account_id_starts", table_name="appointments")
    op.drop_index("ix_appointments_account_id_calendar_starts", table_name="appointments")
    op.drop_table("appointments")
    op.drop_table("schedule_dates")
    op.drop_index("ix_notice_rules_account_id_calendar", table_name="notice_rules")
    op.drop_table("notice_rules")
    op.drop_index(
        "uq_linked_calendars_takes_bookings",
        table_name="linked_calendars",
        postgresql_where=sa.text("takes_bookings"),
    )
    op.drop_index(
        "ix_linked_calendars_next_sync",
        table_name="linked_calendars",
        postgresql_where=sa.text("next_sync_at is not null"),
    )
    op.drop_index("ix_linked_calendars_account_id_user", table_name="linked_calendars")
    op.drop_table("linked_calendars")
    op.drop_index("ix_calendar_hosts_account_id_user", table_name="calendar_hosts")
    op.drop_table("calendar_hosts")
    op.drop_index("ix_schedules_account_id_user", table_name="schedules")
    op.drop_table("schedules")
    op.drop_table("calendars")
    op.drop_constraint(op.f("fk_connections_user_id_users"), "connections", type_="foreignkey")
    op.drop_index(
        "ix_connections_refresh_at",
        table_name="connections",
        postgresql_where=sa.text("refresh_at is not null"),
    )
    op.drop_column("connections", "refresh_at")
    op.drop_column("connections", "token_expires_at")
    op.drop_column("connections", "token_version")
    op.drop_column("connections", "features")
    op.drop_column("connections", "scopes")
    op.drop_column("connections", "user_id")
    op.drop_constraint(op.f("ck_connections_state"), "connections", type_="check")
    # What the older code does not know waits for a person there as well.
    op.execute(f"update connections set state = 'reconnect_needed' where state not in {OLD_STATES}")
    op.create_check_constraint(op.f("ck_connections_state"), "connections", f"state in {OLD_STATES}")
    op.execute("drop extension btree_gist")
