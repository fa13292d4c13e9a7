"""The signature check, with the vector of the official libraries among others."""

import pytest
from twilio.request_validator import RequestValidator

from app.integrations.twilio import signature

# Parameters and signature as in the tests of Twilio's own libraries.
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
TOKEN = "12345"
PARAMS = {
    "CallSid": ["CA1234567890ABCDE"],
    "Caller": ["+14158675309"],
    "Digits": ["1234"],
    "From": ["+14158675309"],
    "To": ["+18005551212"],
}
SIGNED = "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_a_known_signature():
    assert signature.compute(URL, PARAMS, TOKEN) == SIGNED
    assert signature.verify(URL, PARAMS, SIGNED, [TOKEN])


def test_agrees_with_the_official_library():
    for params in (PARAMS, {}, {"Body": ["Grüße 👋 & +1=%"], "Empty": [""]}):
        flat = {name: values[0] for name, values in params.items()}
        assert signature.compute(URL, params, TOKEN) == RequestValidator(TOKEN).compute_signature(URL, flat)


@pytest.mark.parametrize(
    ("ours", "signed_for"),
    [
        ("https://a.example/hook", "https://a.example:443/hook"),
        ("https://a.example:443/hook", "https://a.example/hook"),
        ("http://a.example/hook?x=1", "http://a.example:80/hook?x=1"),
        ("https://a.example:8443/hook", "https://a.example:8443/hook"),
    ],
)
def test_a_default_port_may_be_there_or_not(ours: str, signed_for: str):
    signed = signature.compute(signed_for, PARAMS, TOKEN)
    assert signature.verify(ours, PARAMS, signed, [TOKEN])


@pytest.mark.parametrize(
    "changed",
    [
        {"url": URL + "&baz=3"},
        {"url": URL.replace("mycompany", "evil")},
        {"url": URL.replace("https", "http")},
        {"params": PARAMS | {"Digits": ["1235"]}},
        {"params": PARAMS | {"More": ["x"]}},
        {"token": "123456"},
        {"token": ""},
        {"given": ""},
        {"given": "ÿ" * 28},
        {"url": "https://mycompany.com:8443/myapp.php?foo=1&bar=2"},
    ],
)
def test_whatever_is_changed_it_does_not_pass(changed: dict[str, object]):
    given = str(changed.get("given", signature.compute(URL, PARAMS, TOKEN)))
    token = str(changed.get("token", TOKEN))
    params = changed.get("params", PARAMS)
    assert not signature.verify(str(changed.get("url", URL)), params, given, [token])  # type: ignore[arg-type]


def test_the_token_of_before_counts_too():
    signed = signature.compute(URL, PARAMS, "old")
    assert signature.verify(URL, PARAMS, signed, ["new", "old"])


def test_an_address_without_a_query_has_no_question_mark():
    assert signature.called_url("https://a.example", "/hook", "") == "https://a.example/hook"
    assert (
        signature.called_url("https://a.example", "/hook", "message=1") == "https://a.example/hook?message=1"
    )
