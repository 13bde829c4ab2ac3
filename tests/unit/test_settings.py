"""The environment: what is missing or wrong stops the start, named, and no secret is told."""

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
from tests.support.captured_logs import log_restored

from prebooking.adapters.tls import trusted
from prebooking.domain.prebooking import Box
from prebooking.main import create_app
from prebooking.settings import (
    MigrationSettings,
    Settings,
    SettingsError,
    borrowed_names,
    read_settings,
    secrets_of,
)
from prebooking.settings.environment import PLATFORMS

COMPLETE = {
    "SUPABASE_URL": "https://project.supabase.co",
    "SUPABASE_SECRET_KEY": "sb_secret_of_the_project",
    "QSTASH_TOKEN": "token",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_current_0123456789abc",
    "QSTASH_NEXT_SIGNING_KEY": "sig_next_0123456789abc",
    "PUBLIC_URL": "https://prebooking.example.com",
}

URLS = (
    *("SUPABASE_URL", "QSTASH_URL", "PUBLIC_URL", "AIMHARDER_BOX_URL", "AIMHARDER_ACCOUNT_URL", "AIMHARDER_PROXY"),
    "NOTIFY_WEBHOOK_URL",
)
KEYS = (
    *("SUPABASE_SECRET_KEY", "QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY"),
    *("SERVICE_API_KEY", "METRICS_KEY", "SUPABASE_PUBLISHABLE_KEY"),
)
SESSION_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@pytest.fixture(autouse=True)
def empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's, no .env."""
    monkeypatch.chdir(tmp_path)
    names = {name.upper() for kind in (Settings, MigrationSettings) for name in kind.model_fields}
    for name in names | {name for names in PLATFORMS.values() for name in names}:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    def read_with(**changed: str | None) -> Settings:
        for name, value in (COMPLETE | changed).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return read_settings(Settings)

    return read_with


def test_what_must_be_set_is_enough(read: Any) -> None:
    settings = read()
    assert settings.qstash_url == "https://qstash.upstash.io"
    assert (settings.aimharder_box_url, settings.aimharder_account_url) == (
        "https://{box}.aimharder.com",
        "https://aimharder.com",
    )
    assert (settings.lead_seconds, settings.max_duration_seconds, settings.max_attempts) == (3, 10, 5)
    assert (settings.max_active_prebookings, settings.max_creates_per_minute) == (15, 30)
    assert (settings.sweep_seconds, settings.qstash_max_delay_seconds) == (5, 518_400)
    assert (settings.schedule_for_now, settings.service_api_key, settings.supabase_jwt_secret) == (False, None, None)
    assert (settings.frontend_origins, settings.legacy_box) == ([], None)


@pytest.mark.parametrize("name", COMPLETE)
@pytest.mark.parametrize("value", [None, ""])
def test_each_missing_variable_is_named(read: Any, name: str, value: str | None) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is missing"):
        read(**{name: value})


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as told:
        read_settings(Settings)
    assert [line.split()[0] for line in str(told.value).splitlines()] == list(COMPLETE)
    with pytest.raises(SettingsError, match=r"^DATABASE_URL is missing"):
        read_settings(MigrationSettings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "not-a-url") for name in ("SUPABASE_URL", "QSTASH_URL", "PUBLIC_URL", "AIMHARDER_PROXY")),
        *(("SUPABASE_URL", value) for value in ("http://", "http://[", "ftp://x", "//x")),
        *(("AIMHARDER_BOX_URL", value) for value in ("{box}.aimharder.com", "https://", "http://10.0.0.5/{box}")),
        *(("AIMHARDER_ACCOUNT_URL", f"http://{host}") for host in ("169.254.169.254", "[fd00::1]", "0.0.0.0")),
        *((f"QSTASH_{which}_SIGNING_KEY", "short") for which in ("CURRENT", "NEXT")),
        *(("SERVICE_API_KEY", value) for value in ("short", "x" * 19)),
        *(("SESSION_ENCRYPTION_KEYS", value) for value in ("short", "é", f"{SESSION_KEY[:-4]}", f"{SESSION_KEY},AAAA")),
        *(
            ("SESSION_ENCRYPTION_KEYS", value)
            for value in (
                "plain",
                "plain,plain",
                f"{SESSION_KEY},plain",
                "sealed-only",
                f"plain,sealed-only,{SESSION_KEY}",
            )
        ),
        *(("SUPABASE_JWT_SECRET", value) for value in ("short", "x" * 31)),
        *(("LEAD_SECONDS", value) for value in ("-1", "3.5", "x", "nan")),
        *(("MAX_DURATION_SECONDS", value) for value in ("0", "nan", "inf", "x")),
        *(("SWEEP_SECONDS", value) for value in ("-1", "nan", "inf")),
        *(("QSTASH_MAX_DELAY_SECONDS", value) for value in ("0", "nan", "inf")),
        *(("MAX_ATTEMPTS", value) for value in ("0", "1.5")),
        *(("MAX_ACTIVE_PREBOOKINGS", value) for value in ("0", "-1", "x", "2147483648")),
        *(("MAX_CREATES_PER_MINUTE", value) for value in ("0", "1.5", "inf", "2147483648")),
        *(("MAX_SESSION_CHECKS_PER_MINUTE", value) for value in ("0", "1.5", "inf", "2147483648")),
        *(("PORT", value) for value in ("-1", "65536", "http")),
        *(("FRONTEND_ORIGINS", f"https://a.example.com,{value}") for value in ("app.example.com", "https://b.com/app")),
        *(("LOG_LEVEL", value) for value in ("loud", "5")),
        *(("SCHEDULE_FOR_NOW", value) for value in ("perhaps", "2")),
        *(
            (name, f"https://{rest}")
            for name in URLS
            for rest in ("a b", "a\n.com", "\u00fc.com", "[::1", "a:x", "a:0")
        ),
        *((name, f"https://{rest}") for name in URLS for rest in ("a:65536", "a..b", "1.2.3.999", "a/%zz", "a#b")),
        *((name, f"https://{rest}") for name in URLS if name != "NOTIFY_WEBHOOK_URL" for rest in ("a?b", "a/../b")),
        *((name, "https://u:p@a") for name in URLS if name not in ("NOTIFY_WEBHOOK_URL", "AIMHARDER_PROXY")),
        *((name, f"https://a/{'x' * 70_000}") for name in URLS),
        *((name, value) for name in KEYS for value in (f"k\u00e9y-{'0' * 40}", f"a b-{'0' * 40}", f"a\tb-{'0' * 40}")),
        *((name, f"a\u200bb-{'0' * 40}") for name in (*KEYS, "SUPABASE_JWT_SECRET")),
        *((name, f"'{'0' * 40}'") for name in (*KEYS, "SUPABASE_JWT_SECRET")),
        *((name, f"ssh-ed25519{'A' * 40}") for name in ("SUPABASE_JWT_SECRET", "QSTASH_NEXT_SIGNING_KEY")),
        *(("SUPABASE_URL", f"https://a.com{path}") for path in ("/rest/v1", "/auth/v1/")),
        *(("QSTASH_URL", f"https://a.com{path}") for path in ("/v2", "/v2/publish/")),
        ("AIMHARDER_PROXY", "http://proxy/path"),
        *(
            ("AIMHARDER_BOX_URL", value)
            for value in ("https://{gym}.com", "https://1.2.3.{box}", "http://10.0.0.{box}")
        ),
        *(
            ("FRONTEND_ORIGINS", value)
            for value in ("https://*", "https://*.com", "https://a.*.com", "https://*.*.a.com")
        ),
        *(("FRONTEND_ORIGINS", value) for value in ("*,https://a.com", "https://u@a.com", "https://a.com.", "null")),
        *(("FRONTEND_ORIGINS", value) for value in ("https://b\u00fccher.de", "http://localhost:*", "https://a.com?b")),
        *(("HOST", value) for value in ("a b", "x" * 64, "[::]", "::1%\u00e9", "-a")),
        *((name, "1e308") for name in ("QSTASH_MAX_DELAY_SECONDS", "TOO_EARLY_MINUTES", "SWEEP_SECONDS")),
        *(("LEGACY_BOX_AIMHARDER_ID", value) for value in ("seven", "7a", "-7", "9" * 19)),
        *(("NOTIFY_WEBHOOK_SECRET", value) for value in ("whsec_short", f"whsec_{'-_' * 20}", "A" * 32)),
        *(("LEGACY_BOX_SUBDOMAIN", value) for value in ("evil.example.com/", "My Gym", "www")),
    ],
)
def test_each_wrong_variable_is_named_alone(read: Any, name: str, value: str) -> None:
    with pytest.raises(SettingsError) as told:
        read(**{name: value})
    (line,) = str(told.value).splitlines()
    assert line.startswith(f"{name}: ")
    assert " should " not in line  # as in pydantic's own texts


def test_a_gym_may_stand_on_this_machine_or_in_public(read: Any) -> None:
    for url in ("http://127.0.0.1:9000/{box}", "http://[::1]:9000", "http://localhost:9000", "https://93.184.216.34"):
        assert read(AIMHARDER_BOX_URL=url).aimharder_box_url == url


def test_a_secret_that_is_too_short_is_told_how_long_it_is(read: Any) -> None:
    with pytest.raises(SettingsError, match=r"^SUPABASE_JWT_SECRET: is too short: it must have 32 characters or more"):
        read(SUPABASE_JWT_SECRET="x" * 31)


def test_the_lead_must_leave_time_for_the_booking(read: Any) -> None:
    with pytest.raises(SettingsError, match="LEAD_SECONDS=5 leaves too little"):
        read(LEAD_SECONDS="5")
    assert read(LEAD_SECONDS="4").lead_seconds == 4
    assert read(LEAD_SECONDS="5", MAX_DURATION_SECONDS="11").lead_seconds == 5


FORWARDED = "x-vercel-protection-bypass: s3cret-of-the-proxy,CF-Access-Client-Id:abc, X-Other : a: b \n"


def test_headers_to_bring_along_are_read_and_their_values_are_secret(read: Any) -> None:
    settings = read(QSTASH_FORWARD_HEADERS=FORWARDED)
    assert settings.forward_headers == {
        "x-vercel-protection-bypass": "s3cret-of-the-proxy",
        "CF-Access-Client-Id": "abc",
        "X-Other": "a: b",
    }
    assert {"s3cret-of-the-proxy", "abc", "a: b"} <= set(secrets_of(settings))
    assert "s3cret" not in repr(settings)
    assert read(QSTASH_FORWARD_HEADERS=" , ").forward_headers == {}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("s3cret", "must be `name: value` pairs"),
        ("x: a,s3cret", "a value can't contain a comma"),
        ("na me: s3cret", "must be `name: value` pairs"),
        (": s3cret", "must be `name: value` pairs"),
        ("x:", "the value of x is empty"),
        ("x: s3cr\x1bet", "another invisible character"),
        ("x: s3crét", "the value of x"),
        ("x: s3cr\0et", "another invisible character"),
        ("Upstash-Signature: s3cret", "Upstash-Signature is set by QStash itself"),
        ("content-type: s3cret", "content-type is set by QStash itself"),
        ("Host: s3cret", "Host is set by QStash itself"),
        ("x: s3cret, X: s3cret2", "X occurs twice"),
    ],
)
def test_a_header_that_none_could_bring_along_is_refused_without_its_value(
    read: Any, monkeypatch: pytest.MonkeyPatch, value: str, told: str
) -> None:
    if "\0" in value:  # no environment has it; a .env file may
        Path(".env").write_text(f'QSTASH_FORWARD_HEADERS="{value}"')
        value = ""
    with pytest.raises(SettingsError) as refused:
        read(**({"QSTASH_FORWARD_HEADERS": value} if value else {}))
    assert str(refused.value).startswith("QSTASH_FORWARD_HEADERS: ")
    assert told in str(refused.value)
    assert "s3c" not in str(refused.value)


SECOND = {
    "QSTASH_CURRENT_SIGNING_KEY_2": "sig_current_2_0123456789abc",
    "QSTASH_NEXT_SIGNING_KEY_2": "sig_next_2_0123456789abc",
}


def test_a_second_pair_of_signing_keys_is_both_or_neither(read: Any) -> None:
    assert len(read().signing_keys) == 1
    settings = read(**SECOND)
    assert settings.signing_keys[1] == tuple(SECOND.values())
    assert set(SECOND.values()) <= set(secrets_of(settings))
    for name in SECOND:
        with pytest.raises(SettingsError, match="are a pair: set both, or neither"):
            read(**(SECOND | {name: None}))
    with pytest.raises(SettingsError, match="QSTASH_NEXT_SIGNING_KEY_2 are equal"):
        read(**(SECOND | {"QSTASH_NEXT_SIGNING_KEY_2": SECOND["QSTASH_CURRENT_SIGNING_KEY_2"]}))
    with pytest.raises(SettingsError, match="QSTASH_NEXT_SIGNING_KEY_2: is too short"):
        read(**(SECOND | {"QSTASH_NEXT_SIGNING_KEY_2": "short"}))


def test_two_equal_signing_keys_are_a_mistake(read: Any) -> None:
    with pytest.raises(SettingsError, match="QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY are equal"):
        read(QSTASH_NEXT_SIGNING_KEY=COMPLETE["QSTASH_CURRENT_SIGNING_KEY"])


def test_the_local_development_mode_refuses_the_cloud(read: Any) -> None:
    for url in (None, "https://qstash.upstash.io", "https://qstash-us-east-1.upstash.io/", "https://QSTASH.UPSTASH.IO"):
        with pytest.raises(SettingsError, match="SCHEDULE_FOR_NOW"):
            read(SCHEDULE_FOR_NOW="true", QSTASH_URL=url)
    assert read(SCHEDULE_FOR_NOW="true", QSTASH_URL="http://127.0.0.1:8080").schedule_for_now


def test_the_legacy_name_of_the_key_works_and_the_new_one_wins(read: Any) -> None:
    legacy = read(SUPABASE_SECRET_KEY=None, SUPABASE_SERVICE_ROLE_KEY="legacy")
    assert legacy.supabase_secret_key.get_secret_value() == "legacy"
    both = read(SUPABASE_SERVICE_ROLE_KEY="legacy")
    assert both.supabase_secret_key.get_secret_value() == COMPLETE["SUPABASE_SECRET_KEY"]


def test_values_are_read_as_an_environment_has_them(read: Any) -> None:
    settings = read(
        PUBLIC_URL="https://prebooking.example.com/api/",
        FRONTEND_ORIGINS=" https://a.example.com/, ,https://b.example.com",
        AIMHARDER_BOX_URL="http://127.0.0.1:9000/{box}/",
        LOG_LEVEL="debug",
        LEGACY_BOX_SUBDOMAIN="mygym",
        LEGACY_BOX_AIMHARDER_ID="7",
    )
    assert settings.public_url == "https://prebooking.example.com/api"
    assert settings.frontend_origins == ["https://a.example.com", "https://b.example.com"]
    assert settings.aimharder_box_url == "http://127.0.0.1:9000/{box}"
    assert settings.log_level == "DEBUG"
    assert settings.legacy_box == Box(subdomain="mygym", aimharder_id="7")


def test_session_keys_are_base64_in_either_alphabet_and_a_wrong_one_tells_how_to_make_one(read: Any) -> None:
    assert read().session_keys == ()
    settings = read(SESSION_ENCRYPTION_KEYS=f" {SESSION_KEY} , {'-_' * 21}8=")
    assert settings.session_keys == (b"0123456789abcdef" * 2, base64.urlsafe_b64decode("-_" * 21 + "8="))
    with pytest.raises(SettingsError, match=r"^SESSION_ENCRYPTION_KEYS: each key .* `openssl rand -base64 32`$"):
        read(SESSION_ENCRYPTION_KEYS=f"{SESSION_KEY},topsecret")


def test_plain_before_the_keys_reads_what_is_encrypted_and_encrypts_nothing_yet(read: Any) -> None:
    assert not read().encrypts_sessions
    waiting, on = read(SESSION_ENCRYPTION_KEYS=f"plain,{SESSION_KEY}"), read(SESSION_ENCRYPTION_KEYS=SESSION_KEY)
    assert waiting.session_keys == on.session_keys == (b"0123456789abcdef" * 2,)
    assert (waiting.encrypts_sessions, on.encrypts_sessions) == (False, True)


def test_all_that_no_log_may_show_is_known(read: Any) -> None:
    settings = read(SESSION_ENCRYPTION_KEYS=SESSION_KEY, AIMHARDER_PROXY="http://user:of-the-proxy@proxy.example.com")
    hidden = set(secrets_of(settings))
    assert hidden == {SESSION_KEY, "of-the-proxy", *(v for n, v in COMPLETE.items() if not n.endswith("_URL"))}


def test_half_a_legacy_box_is_a_mistake(read: Any) -> None:
    for name, value in (("LEGACY_BOX_SUBDOMAIN", "mygym"), ("LEGACY_BOX_AIMHARDER_ID", "7")):
        with pytest.raises(SettingsError, match="set both, or neither"):
            read(**{"LEGACY_BOX_SUBDOMAIN": None, "LEGACY_BOX_AIMHARDER_ID": None, name: value})


@pytest.mark.parametrize("around", ["{}\n", " {}", "{}\r\n", "\t{} ", "\n\n{}\u00a0"])
def test_whitespace_around_a_value_is_none_of_it(read: Any, around: str) -> None:
    plain = read()
    assert read(**{name: around.format(value) for name, value in COMPLETE.items()}) == plain
    for name in COMPLETE:
        with pytest.raises(SettingsError, match=f"^{name} is missing"):
            read(**{name: around.format("")})


def test_urls_are_written_in_one_way(read: Any) -> None:
    for written, one in (
        ("HTTPS://Service.Example.COM:443/", "https://service.example.com"),
        ("http://a.com:080/Api/", "http://a.com/Api"),
        ("https://[0:0::1]:8443", "https://[::1]:8443"),
    ):
        assert read(PUBLIC_URL=written).public_url == one


def test_origins_are_written_as_browsers_send_them(read: Any) -> None:
    written = "HTTPS://App.Example.com:443/, http://localhost:3000,https://*.Example.org, https://app-*.vercel.app"
    assert read(FRONTEND_ORIGINS=written).frontend_origins == [
        *("https://app.example.com", "http://localhost:3000", "https://*.example.org", "https://app-*.vercel.app")
    ]
    assert read(FRONTEND_ORIGINS=" * ").frontend_origins == ["*"]


@pytest.mark.parametrize(
    ("name", "variable", "value", "becomes"),
    [
        ("PUBLIC_URL", "VERCEL_PROJECT_PRODUCTION_URL", "mine.vercel.app", "https://mine.vercel.app"),
        ("PUBLIC_URL", "RENDER_EXTERNAL_URL", "https://mine.onrender.com", "https://mine.onrender.com"),
        ("PUBLIC_URL", "RAILWAY_PUBLIC_DOMAIN", "mine.up.railway.app\n", "https://mine.up.railway.app"),
        ("PUBLIC_URL", "FLY_APP_NAME", "mine", "https://mine.fly.dev"),
        ("PUBLIC_URL", "KOYEB_PUBLIC_DOMAIN", "mine.koyeb.app", "https://mine.koyeb.app"),
        ("SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_URL", "https://a.supabase.co", "https://a.supabase.co"),
        ("SUPABASE_PUBLISHABLE_KEY", "NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY", "sb_publishable_x", "sb_publishable_x"),
        ("SUPABASE_PUBLISHABLE_KEY", "NEXT_PUBLIC_SUPABASE_ANON_KEY", "eyJ", "eyJ"),
    ],
)
def test_what_a_platform_calls_it_stands_for_a_setting_that_is_not_there(
    read: Any, monkeypatch: pytest.MonkeyPatch, name: str, variable: str, value: str, becomes: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(read(**{name: None}), name.lower()) == becomes
    assert borrowed_names(Settings) == {name: variable}
    own = becomes.replace("mine", "own").replace("a.supabase", "own.supabase")
    assert getattr(read(**{name: own}), name.lower()) == own
    assert borrowed_names(Settings) == {}
    monkeypatch.setenv(variable, "a b")
    with pytest.raises(SettingsError, match=rf"^{name} \(from {variable}\): "):
        read(**{name: None})


def test_the_start_logs_what_it_takes_from_the_platform(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLY_APP_NAME", "mine")
    read(PUBLIC_URL=None)
    log = io.StringIO()
    with log_restored():
        monkeypatch.setattr(sys, "stderr", log)
        create_app()
    (line,) = [json.loads(line) for line in log.getvalue().splitlines()]
    told = {"event": "setting_from_platform", "name": "PUBLIC_URL", "from": "FLY_APP_NAME", "level": "info"}
    assert told.items() <= line.items()


def test_a_database_is_taken_from_vercels_integration_the_one_without_a_pooler_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("POSTGRES_URL", "POSTGRES_URL_NON_POOLING"):
        monkeypatch.setenv(variable, f"postgres://u:p@{variable.lower()}/x")
        assert borrowed_names(MigrationSettings) == {"DATABASE_URL": variable}
        url = read_settings(MigrationSettings).database_url.get_secret_value()
        assert url == f"postgres://u:p@{variable.lower()}/x"


@pytest.mark.parametrize("content", [b"\xff\xfeP\0O\0", b"PORT=\xe9\n"])
def test_a_file_that_is_no_text_is_told(read: Any, content: bytes) -> None:
    Path(".env").write_bytes(content)
    with pytest.raises(SettingsError, match=r"^\.env can't be read"):
        read()
    Path(".env").write_bytes(b"\xef\xbb\xbfPORT= 9 \n")
    assert read().port == 9


def test_certificates_that_are_not_there_are_named(read: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trusted.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(SettingsError, match=r"^SSL_CERT_FILE can't be opened"):
        read()
    monkeypatch.delenv("SSL_CERT_FILE")
    assert read()


def test_the_environment_comes_before_the_file(read: Any) -> None:
    Path(".env").write_text("PORT=1\nHOST=0.0.0.0\nUNKNOWN=ignored\n", encoding="utf-8")
    settings = read(PORT="2")
    assert (settings.port, settings.host) == (2, "0.0.0.0")


def test_no_secret_is_shown(read: Any) -> None:
    with pytest.raises(SettingsError) as told:
        read(QSTASH_NEXT_SIGNING_KEY="topsecret", SERVICE_API_KEY="topsecret")
    assert "topsecret" not in str(told.value)
    settings = read(
        QSTASH_NEXT_SIGNING_KEY=COMPLETE["QSTASH_NEXT_SIGNING_KEY"],
        SERVICE_API_KEY="a-service-key-0123456789",
        SUPABASE_JWT_SECRET="a-jwt-secret-0123456789-0123456789",
    )
    shown = repr(settings) + str(settings.model_dump())
    for secret in ("a-service-key", "a-jwt-secret", "sb_secret", "sig_current", "sig_next", "'token'"):
        assert secret not in shown


def test_the_page_needs_the_key_that_it_signs_people_in_with(read: Any) -> None:
    with pytest.raises(SettingsError, match="CONSOLE=true needs SUPABASE_PUBLISHABLE_KEY"):
        read(CONSOLE="true")
    settings = read(CONSOLE="true", SUPABASE_PUBLISHABLE_KEY="sb_publishable_x")
    assert (settings.console, settings.demo_members) == (True, ())
    assert read(CONSOLE=None, SUPABASE_PUBLISHABLE_KEY=None).console is False


def _legacy_key(role: str) -> str:
    return jwt.encode({"iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": role}, "x" * 32)


@pytest.mark.parametrize("key", ["sb_secret_of_another_project", _legacy_key("service_role")])
def test_a_secret_key_is_not_taken_for_the_one_that_the_page_shows(read: Any, key: str) -> None:
    with pytest.raises(SettingsError, match=r"^SUPABASE_PUBLISHABLE_KEY: is a secret key") as told:
        read(SUPABASE_PUBLISHABLE_KEY=key)
    assert key not in str(told.value)
    read(SUPABASE_PUBLISHABLE_KEY=_legacy_key("anon"))


@pytest.mark.parametrize("name", ["SUPABASE_JWT_SECRET", "SERVICE_API_KEY", "METRICS_KEY"])
@pytest.mark.parametrize("key", ["sb_publishable_" + "x" * 32, _legacy_key("anon")])
def test_a_key_that_everybody_can_have_is_no_secret(read: Any, name: str, key: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: is the project's publishable key"):
        read(**{name: key})


@pytest.mark.parametrize("name", ["SUPABASE_SECRET_KEY", "QSTASH_TOKEN", "SERVICE_API_KEY"])
def test_no_secret_is_the_publishable_key_as_well(read: Any, name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} and SUPABASE_PUBLISHABLE_KEY, which is public, are equal"):
        read(**{name: "k" * 32, "SUPABASE_PUBLISHABLE_KEY": "k" * 32})


def test_members_to_pick_from_are_for_a_supabase_on_this_machine_alone(read: Any) -> None:
    members = {"CONSOLE_MEMBERS": "ana@example.com:a:b, bea@example.com:secret"}
    with pytest.raises(SettingsError, match="CONSOLE_MEMBERS shows passwords to everybody"):
        read(**members)
    settings = read(SUPABASE_URL="http://127.0.0.1:54321", **members)
    assert settings.demo_members == (("ana@example.com", "a:b"), ("bea@example.com", "secret"))
    for wrong in ("ana@example.com", "ana:secret", "ana@example.com:"):
        with pytest.raises(SettingsError, match="CONSOLE_MEMBERS: write each as email:password"):
            read(SUPABASE_URL="http://127.0.0.1:54321", CONSOLE_MEMBERS=wrong)


def test_sealed_only_before_the_keys_encrypts_and_reads_nothing_plain(read: Any) -> None:
    on, only = read(SESSION_ENCRYPTION_KEYS=SESSION_KEY), read(SESSION_ENCRYPTION_KEYS=f"sealed-only,{SESSION_KEY}")
    assert on.session_keys == only.session_keys
    assert (on.encrypts_sessions, only.encrypts_sessions) == (True, True)
    assert (on.takes_sealed_sessions_alone, only.takes_sealed_sessions_alone) == (False, True)
