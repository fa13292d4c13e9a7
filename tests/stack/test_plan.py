"""What a start is going to be: defaults, what the environment overrules, and what is refused before anything runs."""

import json
import stat
from pathlib import Path

import pytest

from app.config import ConfigError
from app.stack import commands, runtime
from app.stack.plan import PlanFailed, make_plan
from app.stack.programs import programs


def test_demo_points_every_twilio_host_at_the_simulator(tmp_path: Path) -> None:
    plan = make_plan("demo", {"DATA_DIR": str(tmp_path), "PORT": "9000"})
    assert plan.settings["TWILIO_LOOKUPS_BASE_URL"] == "http://127.0.0.1:9001/twilio/lookups"
    assert plan.settings["SMTP_URL"] == "smtp://127.0.0.1:9002"
    assert plan.settings["SECRET_KEY"].startswith("demo-")
    assert plan.own_postgres and plan.own_redis


def test_the_environment_wins(tmp_path: Path) -> None:
    given = {
        "DATA_DIR": str(tmp_path),
        "PUBLIC_URL": "https://crm.example",
        "DATABASE_URL": "postgresql://h/d",
    }
    plan = make_plan("serve", given | {"TWILIO_API_BASE_URL": "http://127.0.0.1:1/twilio/api"})
    assert plan.environment["PUBLIC_URL"] == "https://crm.example"
    assert plan.environment["TWILIO_API_BASE_URL"] == "http://127.0.0.1:1/twilio/api"
    assert not plan.own_postgres and plan.own_redis


def test_serve_makes_its_secrets_once(tmp_path: Path) -> None:
    first = make_plan("serve", {"DATA_DIR": str(tmp_path)}).settings
    second = make_plan("serve", {"DATA_DIR": str(tmp_path)}).settings
    assert first["SECRET_KEY"] == second["SECRET_KEY"] and not first["SECRET_KEY"].startswith("demo")
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_production_gets_nothing_and_names_everything(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        make_plan("serve", {"LEVELHEAD_ENV": "production", "DATA_DIR": str(tmp_path)})
    for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SMTP_URL"):
        assert name in str(refused.value)
    assert not (tmp_path / "secrets.json").exists()


@pytest.mark.parametrize("given", [{"PORT": "80800"}, {"PORT": "x"}, {"LEVELHEAD_ENV": "production"}])
def test_demo_refuses_what_cannot_be(tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(PlanFailed):
        make_plan("demo", {"DATA_DIR": str(tmp_path), **given})


@pytest.mark.parametrize("given", [{"WEB_SERVER": "apache"}, {"WEB_WORKERS": "0"}, {"WEB_THREADS": "many"}])
def test_a_web_server_we_do_not_know_is_refused(tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(PlanFailed):
        programs(make_plan("demo", {"DATA_DIR": str(tmp_path), **given}))


def test_a_command_finds_the_running_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"demo": tmp_path / "var", "serve": tmp_path / "var-serve"}
    monkeypatch.setattr(commands, "DEFAULT_DATA_DIRS", places)
    assert commands.choose_data_dir({}) == ("serve", places["serve"])
    plan = make_plan("demo", {"DATA_DIR": str(places["demo"])})
    with runtime.take_data_dir(plan.data_dir):
        runtime.write_note(plan, plan.environment)
        assert commands.choose_data_dir({}) == ("demo", places["demo"])
        assert runtime.running_settings(plan.data_dir)["SIMULATOR_URL"] == "http://127.0.0.1:8001"
        with pytest.raises(runtime.AlreadyRunning, match=r"http://127\.0\.0\.1:8000"):
            runtime.take_data_dir(plan.data_dir)
        places["serve"].mkdir()
        assert commands.choose_data_dir({})[0] == "demo"
    assert runtime.running_settings(plan.data_dir) == {}
    with pytest.raises(PlanFailed, match="two stacks"):
        commands.choose_data_dir({})


def test_productions_settings_are_not_written_down(tmp_path: Path) -> None:
    settings = {
        "LEVELHEAD_ENV": "production",
        "SECRET_KEY": "x" * 40,
        "ENCRYPTION_KEYS": "k1:" + "A" * 43 + "=",
        "DATABASE_URL": "postgresql://h/d",
        "DATABASE_OWNER_URL": "postgresql://h/d",
        "REDIS_URL": "redis://h",
        "PUBLIC_URL": "https://crm.example",
        "SMTP_URL": "smtp://h",
        "MAIL_FROM": "a@crm.example",
        "DATA_DIR": str(tmp_path),
    }
    plan = make_plan("serve", settings)
    runtime.write_note(plan, plan.environment)
    note = (tmp_path / "runtime.json").read_text()
    assert "x" * 40 not in note and json.loads(note)["settings"] == {}
