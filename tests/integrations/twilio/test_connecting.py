"""Connect, test, reconnect, disconnect against the simulator."""

import pytest
from sqlalchemy import select

from app.core import errors, tenancy
from app.core.errors import Invalid, NeedsReconnect
from app.domain import connecting, connection_banners, connection_numbers, connections
from app.integrations import connect
from app.models.audit import AuditEntry
from app.models.connection import Connection, Sender
from app.models.mail import Mail
from tests.factories import Cast
from tests.provider import BUSINESS, SID, TOKEN, Provider

CREDENTIALS = {"account_sid": SID, "auth_token": TOKEN}
SECOND = "+14155550102"
OTHER_SID = "AC" + "2" * 32
SERVICE = "MG" + "3" * 32


def fresh(connection: Connection) -> Connection:
    with tenancy.session_for() as session:
        return connections.connection_of(session, connection.account_id, connection.id)


def steps(connection: Connection) -> dict[str, bool]:
    return {check["step"]: check["ok"] for check in connection.checks}


def changes(provider: Provider) -> int:
    return sum("/IncomingPhoneNumbers/" in row["path"] for row in provider.requests(method="POST"))


def test_connect_sets_everything_up(provider: Provider, cast: Cast):
    provider.register(SID, TOKEN, BUSINESS, SECOND)
    with tenancy.session_for() as session:
        connect.connect(session, cast.actor(cast.ana), cast.account, "twilio", CREDENTIALS)
        made = connections.connections_of(session, cast.account.id)[0]
    assert (made.state, made.external_ref, made.name) == ("connected", SID, "Bright Smile")
    assert steps(made) == {"credentials": True, "address": True, "numbers": True, "webhooks": True}
    assert sorted((s.address, s.webhook_state, s.is_default) for s in made.senders) == [
        (BUSINESS, "set", True),
        (SECOND, "set", False),
    ]
    assert TOKEN.encode() not in made.credentials
    assert connections.open_credentials(made) == CREDENTIALS
    expected = f"http://localhost/webhooks/twilio/{made.id}/inbound"
    assert {n["sms_url"] for n in provider.numbers()} == {expected}


def test_a_wrong_token_stores_nothing(provider: Provider, cast: Cast):
    provider.register()
    with tenancy.session_for() as session:
        with pytest.raises(NeedsReconnect):
            connect.connect(
                session, cast.actor(cast.ana), cast.account, "twilio", CREDENTIALS | {"auth_token": "x" * 32}
            )
        assert session.scalar(select(Connection)) is None


def test_running_again_goes_on_where_it_stopped(provider: Provider, cast: Cast):
    provider.register(SID, TOKEN, BUSINESS, SECOND)
    provider.fault("server_error", path="IncomingPhoneNumbers/", method="POST", times=1)
    with tenancy.session_for() as session:
        made = connect.connect(session, cast.actor(cast.ana), cast.account, "twilio", CREDENTIALS)
        assert made.state == "degraded"
        assert steps(made)["webhooks"] is False
        assert sorted(s.webhook_state for s in fresh(made).senders) == ["failed", "set"]
        before = changes(provider)
        connect.run(session, made, mend=True)
    assert fresh(made).state == "connected"
    assert {s.webhook_state for s in fresh(made).senders} == {"set"}
    assert changes(provider) == before + 1


def test_a_test_looks_but_changes_nothing(provider: Provider, cast: Cast):
    made = provider.connect(cast.account, cast.actor(cast.ana))
    number = provider.numbers()[0]
    url = f"{provider.url}/twilio/api/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers/{number['sid']}.json"
    provider.http.post(url, data={"SmsUrl": "https://elsewhere.example/"}, auth=(SID, TOKEN), timeout=10)
    with tenancy.session_for() as session:
        connect.test(session, cast.actor(cast.ana), fresh(made))
    found = fresh(made)
    assert found.state == "degraded"
    assert found.senders[0].webhook_state == "failed"
    assert provider.numbers()[0]["sms_url"] == "https://elsewhere.example/"


def test_a_number_that_is_gone_is_released_and_another_becomes_the_default(provider: Provider, cast: Cast):
    provider.register(SID, TOKEN, BUSINESS, SECOND)
    made = provider.connect(cast.account, cast.actor(cast.ana))
    gone = next(n for n in provider.numbers() if n["phone_number"] == BUSINESS)
    url = f"{provider.url}/twilio/api/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers/{gone['sid']}.json"
    provider.http.delete(url, auth=(SID, TOKEN), timeout=10)
    with tenancy.session_for() as session:
        connect.run(session, made, mend=True)
    rows = {s.address: (s.state, s.is_default) for s in fresh(made).senders}
    assert rows == {BUSINESS: ("released", False), SECOND: ("active", True)}


def test_refused_credentials_pause_tell_the_admins_once_and_hold(provider: Provider, cast: Cast):
    made = provider.connect(cast.account, cast.actor(cast.ana))
    provider.fault("auth_failure", times=2)
    with tenancy.session_for() as session:
        connect.test(session, cast.actor(cast.ana), fresh(made))
        connect.test(session, cast.actor(cast.ana), fresh(made))
        assert fresh(made).state == "reconnect_needed"
        mails = session.scalars(select(Mail)).all()
        assert [(m.recipient, m.kind) for m in mails] == [(cast.ben.email, "connection_alarm")]
        actions = list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
        assert actions.count("connection.reconnect_needed") == 1
        banner = connection_banners.banners(session, cast.account.id)[0]
        assert banner["link_url"] == f"/a/bright-dental/settings/connections/{made.id}/reconnect"
        # The provider changed its mind: the next test brings it back.
        connect.test(session, cast.actor(cast.ana), fresh(made))
        assert fresh(made).state == "connected"
        assert connection_banners.banners(session, cast.account.id) == []


def test_reconnect_keeps_numbers_and_the_old_token_for_a_day(provider: Provider, cast: Cast):
    made = provider.connect(cast.account, cast.actor(cast.ana))
    sender_ids = [s.id for s in fresh(made).senders]
    provider.register(SID, "new-auth-token", BUSINESS)
    with tenancy.session_for() as session:
        connect.reconnect(
            session, cast.actor(cast.ana), fresh(made), CREDENTIALS | {"auth_token": "new-auth-token"}
        )
    found = fresh(made)
    assert [s.id for s in found.senders] == sender_ids
    assert connections.signing_tokens(connections.open_credentials(found)) == ("new-auth-token", TOKEN)


def test_reconnect_with_another_account_is_refused_by_name(provider: Provider, cast: Cast):
    made = provider.connect(cast.account, cast.actor(cast.ana))
    provider.register(OTHER_SID, TOKEN, SECOND)
    with tenancy.session_for() as session, pytest.raises(Invalid) as refused:
        connect.reconnect(
            session, cast.actor(cast.ana), fresh(made), {"account_sid": OTHER_SID, "auth_token": TOKEN}
        )
    assert SID in refused.value.fields["account_sid"]


def test_disconnect_takes_our_address_back_and_connect_revives_the_row(provider: Provider, cast: Cast):
    made = provider.connect(cast.account, cast.actor(cast.ana))
    with tenancy.session_for() as session:
        connect.disconnect(session, cast.actor(cast.ana), fresh(made))
        assert fresh(made).state == "disconnected"
        assert provider.numbers()[0]["sms_url"] == ""
        again = connect.connect(session, cast.actor(cast.ana), cast.account, "twilio", CREDENTIALS)
    assert again.id == made.id
    assert fresh(made).state == "connected"


def test_two_accounts_share_a_twilio_account_but_not_a_number(provider: Provider, cast: Cast):
    first = provider.connect(cast.account, cast.actor(cast.ana))
    second = provider.connect(cast.other_account, cast.actor(cast.dan))
    assert fresh(second).senders[0].state == "released"
    assert str(first.id) in provider.numbers()[0]["sms_url"]
    with tenancy.session_for() as session:
        assert connections.shared_ids(session, cast.other_account.id) == {second.id}
        sender = fresh(second).senders[0]
        connect.take_number(session, cast.actor(cast.dan), cast.other_account.id, sender.id)
        assert str(second.id) in provider.numbers()[0]["sms_url"]
        assert fresh(second).senders[0].state == "active"
        with pytest.raises(errors.NotFound):
            connect.take_number(session, cast.actor(cast.ana), cast.account.id, sender.id)
        connect.run(session, fresh(first), mend=False)
    assert fresh(first).senders[0].state == "released"


def test_a_messaging_service_is_pointed_here_with_its_numbers(provider: Provider, cast: Cast):
    provider.register(
        SID,
        TOKEN,
        BUSINESS,
        SECOND,
        services=[{"sid": SERVICE, "friendly_name": "Main"}],
    )
    auth = (SID, TOKEN)
    number = next(n for n in provider.numbers() if n["phone_number"] == BUSINESS)
    base = f"{provider.url}/twilio/messaging/v1/Services/{SERVICE}"
    provider.http.post(f"{base}/PhoneNumbers", data={"PhoneNumberSid": number["sid"]}, auth=auth, timeout=10)
    with tenancy.session_for() as session:
        made = connect.connect(session, cast.actor(cast.ana), cast.account, "twilio", CREDENTIALS, SERVICE)
    assert fresh(made).state == "connected"
    assert {s.address: s.service_ref for s in fresh(made).senders} == {BUSINESS: SERVICE, SECOND: None}
    service = provider.http.get(base, auth=auth, timeout=10).json()
    assert service["inbound_request_url"].endswith(f"/webhooks/twilio/{made.id}/inbound")
    assert service["status_callback"].endswith(f"/webhooks/twilio/{made.id}/status")


def test_an_unknown_messaging_service_is_named(provider: Provider, cast: Cast):
    provider.register()
    with tenancy.session_for() as session:
        made = connect.connect(session, cast.actor(cast.ana), cast.account, "twilio", CREDENTIALS, SERVICE)
    assert made.state == "degraded"
    assert SERVICE in str(made.last_error)


def test_an_api_key_is_tried_too(provider: Provider, cast: Cast):
    key = {"api_key_sid": "SK" + "4" * 32, "api_key_secret": "s3cret"}
    provider.register(SID, TOKEN, BUSINESS, api_keys={key["api_key_sid"]: "other"})
    with tenancy.session_for() as session:
        with pytest.raises(NeedsReconnect, match="API key"):
            connect.connect(session, cast.actor(cast.ana), cast.account, "twilio", CREDENTIALS | key)
        provider.register(SID, TOKEN, BUSINESS, api_keys={key["api_key_sid"]: "s3cret"})
        made = connect.connect(session, cast.actor(cast.ana), cast.account, "twilio", CREDENTIALS | key)
    assert made.state == "connected"


def test_pace_and_default(provider: Provider, cast: Cast):
    made = provider.connect(cast.account, cast.actor(cast.ana))
    with tenancy.session_for() as session:
        sender = connection_numbers.sender_of(session, cast.account.id, fresh(made).senders[0].id)
        connection_numbers.set_pace(session, cast.actor(cast.ana), sender, " 2,5 ")
        session.commit()
        for wrong in ("", "fast", "0", "-1", "1001", "nan"):
            with pytest.raises(Invalid):
                connection_numbers.set_pace(session, cast.actor(cast.ana), sender, wrong)
        session.rollback()
        assert str(session.scalar(select(Sender.per_second))) == "2.50"


def test_the_survey_stops_in_time():
    class Slow:
        def point_here(self, number: connecting.NumberFacts) -> None:
            raise AssertionError("no time was left")

    number = connecting.NumberFacts("PN1", "+1", "", {"sms": True}, "away")
    assert "Run this again" in connecting._point(Slow(), number, ends=0)  # type: ignore[arg-type]
