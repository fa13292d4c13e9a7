"""The demo's agency, its people and its three client businesses. Numbers are from the ranges kept free for fiction."""

import hashlib
from dataclasses import dataclass

from app.domain.accounts import AccountFacts

AGENCY = "Northwind Local"
PASSWORD = "demo-levelhead"


@dataclass(frozen=True)
class Person:
    """`places` are account slugs and roles; an owner needs none."""

    key: str
    name: str
    role: str
    agency_role: str | None = None
    places: tuple[tuple[str, str], ...] = ()

    @property
    def email(self) -> str:
        return f"{self.key}@demo.test"


@dataclass(frozen=True)
class Business:
    facts: AccountFacts
    numbers: tuple[tuple[str, str], ...]
    area_codes: tuple[str, ...]
    team: tuple[str, ...]
    fields: tuple[tuple[str, str, tuple[str, ...]], ...]
    snippets: tuple[tuple[str, str, str], ...]

    @property
    def account_sid(self) -> str:
        return "AC" + hashlib.md5(self.facts.slug.encode()).hexdigest()

    @property
    def auth_token(self) -> str:
        return hashlib.md5(f"{self.facts.slug} token".encode()).hexdigest()


PEOPLE = (
    Person("ana", "Ana Alves", "owns the agency, sees everything", "owner"),
    Person(
        "ben",
        "Ben Brook",
        "agency staff, on all three businesses",
        "staff",
        (("bright-smile-dental", "staff"), ("harbor-plumbing", "staff"), ("luna-yoga", "staff")),
    ),
    Person(
        "cleo", "Cleo Clark", "front desk of Bright Smile Dental", None, (("bright-smile-dental", "user"),)
    ),
    Person(
        "eli", "Eli Evans", "owner of Harbor Plumbing, admin there", None, (("harbor-plumbing", "admin"),)
    ),
)

BUSINESSES = (
    Business(
        AccountFacts(
            name="Bright Smile Dental",
            slug="bright-smile-dental",
            trade="Dentist",
            address="214 W 72nd Street, New York, NY 10023",
            timezone="America/New_York",
            brand_colour="teal",
        ),
        (("+12125550180", "Front desk"),),
        ("212", "646", "917"),
        ("cleo", "ben"),
        (
            ("Insurance", "choice", ("Delta Dental", "Aetna", "Cigna", "None")),
            ("Last cleaning", "date", ()),
            ("Dentist", "choice", ("Dr. Lin", "Dr. Abara")),
        ),
        (
            ("hours", "Opening hours", "We are open Monday to Friday 8 to 6 and Saturday 9 to 1."),
            (
                "recall",
                "Time for a cleaning",
                "Hi {{contact.first_name}}, it has been six months. Which day suits you?",
            ),
            (
                "directions",
                "How to find us",
                "214 W 72nd Street, second floor. The 1, 2 and 3 trains stop at the corner.",
            ),
            (
                "review",
                "Ask for a review",
                "Hi {{contact.first_name}}, happy with us? A short review helps {{account.name}} a lot.",
            ),
            (
                "running-late",
                "We are running late",
                "Hi {{contact.first_name}}, we run 15 minutes late today. Sorry! {{user.first_name}}",
            ),
        ),
    ),
    Business(
        AccountFacts(
            name="Harbor Plumbing",
            slug="harbor-plumbing",
            trade="Plumber",
            address="1120 N Halsted Street, Chicago, IL 60642",
            timezone="America/Chicago",
            brand_colour="indigo",
        ),
        (("+13125550190", "Office"), ("+13125550191", "Emergency line")),
        ("312", "773", "630"),
        ("eli", "ben"),
        (("Property", "choice", ("House", "Apartment", "Business")), ("Gate code", "text", ())),
        (
            (
                "eta",
                "On the way",
                "Hi {{contact.first_name}}, our tech is on the way and should be there in 25 minutes.",
            ),
            (
                "quote",
                "Ask for a picture",
                "Could you send us a picture of it? Then we can tell you what it will cost.",
            ),
            (
                "shutoff",
                "Turn off the water",
                "Please turn the main valve clockwise; it is next to the meter. We are on our way.",
            ),
            (
                "invoice",
                "Invoice sent",
                "Your invoice is in your mail, {{contact.first_name}}. You can pay by card or check.",
            ),
        ),
    ),
    Business(
        AccountFacts(
            name="Luna Yoga Studio",
            slug="luna-yoga",
            trade="Yoga studio",
            address="2801 Abbot Kinney Blvd, Los Angeles, CA 90291",
            timezone="America/Los_Angeles",
            brand_colour="violet",
        ),
        (("+13105550170", "Studio"),),
        ("310", "323", "424"),
        ("ana", "ben"),
        (
            ("Membership", "choice", ("Unlimited", "Twice a week", "Class pack")),
            ("Classes left", "number", ()),
        ),
        (
            (
                "schedule",
                "This week's classes",
                "This week's schedule: lunayoga.example/week. See you on the mat!",
            ),
            (
                "trial",
                "Trial offer",
                "Hi {{contact.first_name}}, your first class is free and the second half price.",
            ),
            ("parking", "Parking", "Free for two hours behind the building. Tell them {{account.name}}."),
            (
                "freeze",
                "Freeze a membership",
                "No problem, {{contact.first_name}}: your membership is frozen. Tell us when you are back!",
            ),
        ),
    ),
)
