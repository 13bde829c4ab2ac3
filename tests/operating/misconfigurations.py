"""Sixty ways to set it up wrongly, each with what doctor has to say of it: the cause, and its fix.

In settings and answers `@imposter`, `@gateway`, `@service`, `@qstash` and `@gym` stand for addresses.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.operating.imposter import Answer, page, said

from prebooking.operator.findings import State
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY

NOWHERE = "http://127.0.0.1:1"  # nobody listens there
NO_NAME = "http://nowhere.invalid"  # RFC 6761: never found


def key_of(secret: str = "x" * 40, **claims: Any) -> str:
    """A legacy API key."""

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    signed = ".".join(part(json.dumps(one).encode()) for one in ({"alg": "HS256"}, claims))
    return f"{signed}.{part(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """`told` and `fix`: words that must stand in the finding of that check."""

    settings: Mapping[str, Any]
    check: str
    told: str = ""
    fix: str = ""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    target: str | None = None
    sql: str = ""
    state: State = State.BAD


def _database(answer: Answer, told: str, fix: str, check: str = "database") -> Wrong:
    return Wrong(settings={"supabase_url": "@imposter"}, answers={"/": answer}, check=check, told=told, fix=fix)


def _key(key: str, told: str, fix: str = "sb_secret_") -> Wrong:
    return Wrong(settings={"SUPABASE_SECRET_KEY": key}, check="key", told=told, fix=fix)


def _auth(answers: Mapping[str, Answer], check: str, told: str, fix: str, state: State = State.BAD) -> Wrong:
    return Wrong(
        settings={"supabase_url": "@imposter", "supabase_jwt_issuer": "@gateway/auth/v1"},
        answers={f"/auth/v1/{path}": answer for path, answer in answers.items()},
        target="@gateway",
        check=check,
        told=told,
        fix=fix,
        state=state,
    )


def _qstash(answer: Answer, check: str, told: str, fix: str, path: str = "") -> Wrong:
    return Wrong(settings={"qstash_url": f"@imposter{path}"}, answers={"/": answer}, check=check, told=told, fix=fix)


def _reach(answer: Answer, told: str, fix: str, path: str = "") -> Wrong:
    return Wrong(settings={"public_url": f"@imposter{path}"}, answers={"/": answer}, check="reach", told=told, fix=fix)


def _gym(answer: Answer, told: str, fix: str, check: str = "box", **settings: str) -> Wrong:
    where = {
        "box": {"aimharder_box_url": "@imposter/{box}"},
        "aimharder": {"aimharder_account_url": "@imposter"},
        "login": {"aimharder_login_url": "@imposter"},
    }
    return Wrong(settings=where[check] | settings, answers={"/": answer}, check=check, told=told, fix=fix)


def _row(sql: str, check: str, told: str, fix: str) -> Wrong:
    """Of one that waits."""
    return Wrong(settings={}, sql=f"update public.prebookings set {sql}", check=check, told=told, fix=fix)


_KONG_502 = said(502, {"message": "An invalid response was received from the upstream server"})
_CHALLENGE = page(403, "<title>Just a moment...</title>", cf_mitigated="challenge", server="cloudflare")
_VERCEL = page(401, "<title>Authentication Required</title> Vercel Authentication", server="Vercel")
_OUR_401 = said(401, {"title": "Unauthorized", "status": 401, "code": "unauthorized", "request_id": "1"})
_OUR_404 = said(404, {"title": "Not Found", "status": 404, "code": "not-found", "request_id": "1"})
_OUR_503 = said(503, {"title": "x", "status": 503, "code": "database-unavailable", "request_id": "1"})
_ELSEWHERE = "https://another.example.com"

MISCONFIGURATIONS: dict[str, Wrong] = {
    # ---- Supabase: where it is
    "no such host": Wrong(
        settings={"supabase_url": NO_NAME},
        check="database",
        told="its name is not found",
        fix="the host name in SUPABASE_URL",
    ),
    "nobody listens": Wrong(
        settings={"supabase_url": NOWHERE}, check="database", told="nobody listens", fix="host and port in SUPABASE_URL"
    ),
    "https where http is spoken": Wrong(
        settings={"supabase_url": "https@imposter"}, check="database", told="TLS", fix="http or https in SUPABASE_URL"
    ),
    "the gateway's own 502 as JSON": _database(_KONG_502, "its gateway says HTTP 502", "not the database behind it"),
    "the gateway's own 502 as text": _database(Answer(502, "bad gateway"), "its gateway says HTTP 502", "behind it"),
    "Cloudflare's 522": _database(page(522, "Connection timed out"), "HTTP 522", "the project's status"),
    "a paused project": _database(page(540, "Project paused"), "is paused", "restore the project"),
    "basic auth before Supabase": _database(
        Answer(401, "", {"www-authenticate": 'Basic realm="x"'}), "a password of its own", "behind a proxy with a login"
    ),
    "a firewall before Supabase": _database(
        page(403, "Forbidden"), "does not let this host through", "allow its address"
    ),
    "rate-limited by the gateway": _database(
        said(429, {"message": "API rate limit exceeded"}), "rate-limited", "rate limit"
    ),
    "a web site in Supabase's place": _database(page(404, "Not Found"), "another server responds", "where /rest/v1 is"),
    "a web application that answers all": _database(page(200, "Welcome"), "another server responds", "/rest/v1"),
    "a redirect to Supabase": _database(Answer(301, "", {"location": _ELSEWHERE}), "it redirects", _ELSEWHERE),
    "the dashboard's address": Wrong(
        settings={"supabase_url": "@imposter/dashboard/project/abc"},
        answers={"/": page(404)},
        check="database",
        told="another server responds",
        fix="the dashboard's address",
    ),
    "functions that are missing": _database(
        said(404, {"code": "PGRST202", "message": "no such function"}),
        "missing or old",
        "prebooking migrate",
        "migrations",
    ),
    "a database that is too busy": _database(
        said(500, {"code": "57014", "message": "canceling statement"}), "too slow", "autovacuum", "slow"
    ),
    # ---- Supabase: keys
    "another project's secret key": _key(
        "sb_secret_of_another_project", "refuses the key", "to the secret key of the project"
    ),
    "a publishable key": _key("sb_publishable_0123456789", "publishable key"),
    "the legacy anon key": _key(key_of(role="anon"), "the role anon"),
    "a legacy key of another project": Wrong(
        settings={
            "supabase_url": "http://abc.supabase.co",
            "SUPABASE_SECRET_KEY": key_of(role="service_role", ref="xyz"),
        },
        check="key",
        told="of the project xyz",
        fix="of the same project",
    ),
    "a legacy key that has expired": _key(key_of(role="service_role", exp=1), "expired legacy key"),
    "half of a legacy key": _key(key_of(role="service_role")[:30], "incomplete legacy key"),
    "an account's access token": _key("sbp_0123456789abcdef", "access token of the Supabase account"),
    "the JWT secret of another project": Wrong(
        settings={"supabase_jwt_secret": "y" * 40, "supabase_publishable_key": key_of(role="anon")},
        check="jwt-secret",
        told="another project's",
        fix="set it to the legacy JWT secret",
    ),
    "an API key as JWT secret": Wrong(
        settings={"supabase_jwt_secret": "sb_secret_" + "y" * 40},
        check="jwt-secret",
        told="is an API key",
        fix="set it to the legacy JWT secret",
    ),
    # ---- users
    "another issuer": Wrong(
        settings={"supabase_url": "@imposter"},
        target="@gateway",
        check="issuer",
        told="401",
        fix="SUPABASE_JWT_ISSUER=@gateway",
    ),
    "an issuer without /auth/v1": Wrong(
        settings={"supabase_jwt_issuer": "@gateway"},
        check="issuer",
        told="@gateway/auth/v1",
        fix="SUPABASE_JWT_ISSUER=",
    ),
    "no signing keys published": _auth(
        {".well-known/jwks.json": said(200, {"keys": []})}, "token-keys", "its tokens are HS256", "SUPABASE_JWT_SECRET"
    ),
    "no Auth behind the gateway": _auth({"": Answer(404, "no Route")}, "token-keys", "HTTP 404", "Auth at /auth/v1"),
    "Auth that is down": _auth(
        {".well-known/jwks.json": Answer(503, "name resolution failed")}, "token-keys", "HTTP 503", "SUPABASE_URL"
    ),
    "e-mails that nobody confirms": _auth(
        {"settings": said(200, {"mailer_autoconfirm": True, "disable_signup": False})},
        "confirm-email",
        "another person's address",
        '"Confirm email"',
    ),
    "anonymous sign-ins": _auth(
        {"settings": said(200, {"mailer_autoconfirm": False, "external": {"anonymous_users": True}})},
        "anonymous",
        "anonymous sign-ins are on",
        "turn them off",
        State.NOTE,
    ),
    # ---- QStash
    "QStash's name misspelt": Wrong(
        settings={"qstash_url": NO_NAME}, check="reachable", told="its name is not found", fix="QSTASH_URL"
    ),
    "the wrong region": _qstash(
        said(404, {"error": "user u_1 not found in this region"}), "token", "in the region of", "qstash-us-east-1"
    ),
    "another service at QSTASH_URL": _qstash(page(200, "Hello"), "reachable", "another server responds", "QSTASH_URL"),
    "a redirect at QSTASH_URL": _qstash(
        Answer(301, "", {"location": _ELSEWHERE}), "reachable", "it redirects", _ELSEWHERE
    ),
    "a token that was revoked": _qstash(said(401, {"error": "unauthorized"}), "token", "refuses", "copy QSTASH_TOKEN"),
    "a read-only token": _qstash(said(403, {"error": "forbidden"}), "token", "HTTP 403", "not to the read-only"),
    "the day's limit used up": _qstash(said(429, {"error": "Exceeded daily rate limit"}), "token", "HTTP 429", "plan"),
    "QStash in trouble": _qstash(said(503, {"error": "try later"}), "reachable", "503", "QSTASH_URL"),
    "a signing key as token": Wrong(
        settings={"qstash_token": DEV_CURRENT_KEY}, check="token", told="a signing key", fix="set QSTASH_TOKEN"
    ),
    "signing keys of another account": Wrong(
        settings={"qstash_current_signing_key": "x" * 32, "qstash_next_signing_key": "y" * 32},
        check="signing-keys",
        told="signs with other keys",
        fix="of the region of QSTASH_URL",
    ),
    "signing keys exchanged": Wrong(
        settings={"qstash_current_signing_key": DEV_NEXT_KEY, "qstash_next_signing_key": DEV_CURRENT_KEY},
        check="signing-keys",
        told="the other way round",
        fix="exchange",
    ),
    "signing keys rolled once": Wrong(
        settings={"qstash_current_signing_key": "x" * 32, "qstash_next_signing_key": DEV_CURRENT_KEY},
        check="signing-keys",
        told="rolled its signing keys once",
        fix="before you roll again",
    ),
    "the next signing key is another": Wrong(
        settings={"qstash_next_signing_key": "y" * 32},
        check="signing-keys",
        told="after a roll every delivery is refused",
        fix="set both",
    ),
    "a sleeping host without a schedule": Wrong(
        settings={"sweep_seconds": 0}, check="schedule", told="nothing is repaired", fix="schedule-sweep"
    ),
    # ---- PUBLIC_URL
    "nobody at PUBLIC_URL": Wrong(
        settings={"public_url": NOWHERE}, check="reach", told="nobody listens there", fix="that the service runs"
    ),
    "PUBLIC_URL's name is not found": Wrong(
        settings={"public_url": NO_NAME}, check="reach", told="its name is not found", fix="DNS"
    ),
    "another service at PUBLIC_URL": _reach(page(404), "another server responds", "point PUBLIC_URL at this service"),
    "a web page at PUBLIC_URL": _reach(page(200, "Welcome"), "another server responds", "point PUBLIC_URL"),
    "a static host at PUBLIC_URL": _reach(page(405), "another server responds", "point PUBLIC_URL"),
    "Vercel's deployment protection": _reach(_VERCEL, "Vercel's deployment protection", "QSTASH_FORWARD_HEADERS"),
    "basic auth before the service": _reach(
        Answer(401, "", {"www-authenticate": 'Basic realm="x"'}), "asks for a password", "POST /qstash/*"
    ),
    "a proxy's 401 without a word": _reach(Answer(401, "no"), "a proxy in front of the service", "POST /qstash/*"),
    "a Cloudflare challenge": _reach(_CHALLENGE, "a Cloudflare challenge", "POST /qstash/*"),
    "Google's identity-aware proxy": _reach(
        page(401, "Invalid IAP credentials", x_goog_iap_generated_response="true"), "identity-aware", "POST /qstash/*"
    ),
    "a redirect to a sign-in": _reach(
        Answer(302, "", {"location": "https://t.cloudflareaccess.com/cdn-cgi/access/login"}),
        "Cloudflare Access",
        "/qstash/*",
    ),
    "http where https is spoken": _reach(
        Answer(308, "", {"location": "https://prebooking.example.com/healthz"}),
        "follows no redirect",
        "PUBLIC_URL=https://prebooking.example.com",
    ),
    "www is missing": _reach(
        Answer(301, "", {"location": "https://www.example.com/healthz"}),
        "redirects",
        "PUBLIC_URL=https://www.example.com",
    ),
    "a path that is too much": _reach(_OUR_404, "no such path", "remove the surplus path", "/api"),
    "a route in PUBLIC_URL": _reach(page(404), "another server", "without /qstash", "/qstash/prebooking-execute"),
    "other signing keys there": _reach(_OUR_401, "refuses QStash's signature", "PUBLIC_URL=@imposter"),
    "no database there": _reach(_OUR_503, "has no database there", "compare SUPABASE_URL"),
    "a proxy with nothing behind it": _reach(Answer(502, "bad gateway"), "HTTP 502", "check that the service runs"),
    # ---- AimHarder
    "a box's name that is not found": Wrong(
        settings={"aimharder_box_url": f"{NO_NAME}/{{box}}"},
        check="box",
        told="name is not found",
        fix="AIMHARDER_BOX_URL",
    ),
    "a box that redirects": _gym(
        Answer(302, "", {"location": "https://aimharder.com/"}),
        "it redirects to https://aimharder.com/",
        "AIMHARDER_BOX_URL",
    ),
    "a box that is none": _gym(page(404), "another server responds", "AIMHARDER_BOX_URL"),
    "a box in trouble": _gym(page(500, "oops"), "responds with an error", "AIMHARDER_BOX_URL"),
    "a box that blocks us": _gym(page(403), "blocks this host", "AIMHARDER_PROXY"),
    "a block page of a box": _gym(page(200, "captcha"), "not JSON", "AIMHARDER_BOX_URL"),
    "an account host that redirects": _gym(
        Answer(301, "", {"location": "https://www.aimharder.com/"}),
        "it redirects",
        "AIMHARDER_ACCOUNT_URL",
        "aimharder",
    ),
    "nobody at the login host": Wrong(
        settings={"aimharder_login_url": NOWHERE}, check="login", told="nobody listens", fix="AIMHARDER_LOGIN_URL"
    ),
    "a login host in trouble": _gym(Answer(503), "responds with an error", "AIMHARDER_LOGIN_URL", "login"),
    "an account host that is none": _gym(page(404), "another server responds", "AIMHARDER_ACCOUNT_URL", "aimharder"),
    "an account host in trouble": _gym(Answer(503), "responds with an error", "AIMHARDER_ACCOUNT_URL", "aimharder"),
    "an account host that limits us": _gym(Answer(429), "HTTP 429", "AIMHARDER_PROXY", "aimharder"),
    "a proxy that is not there": Wrong(
        settings={"aimharder_proxy": NOWHERE},
        check="aimharder",
        told="through AIMHARDER_PROXY",
        fix="first that AIMHARDER_PROXY responds",
    ),
    "a proxy that wants a password": Wrong(
        settings={"aimharder_proxy": "@imposter"},
        answers={"": Answer(407)},
        check="aimharder",
        told="requires a password",
        fix="user:password@",
    ),
    # ---- rows, and the rest
    "rows late for their opening": _row(
        "available_at = now() - interval '30 seconds', armed_at = now() - interval '1 hour'",
        "late",
        "nothing has begun to book",
        "check that a replica runs",
    ),
    "messages that ring elsewhere": _row(
        "qstash_schedule_id = 'msg_1', message_address = 'https://old.example.com'",
        "messages-elsewhere",
        "a message for https://old.example.com",
        "prebooking sweep",
    ),
    "no session key here": Wrong(
        settings={},
        sql="update public.auth_sessions set aimharder_token = 'enc:v1:0123abcd:AAAA'",
        check="session-keys",
        told="0123abcd",
        fix="SESSION_ENCRYPTION_KEYS",
    ),
    "SCHEDULE_FOR_NOW in production": Wrong(
        settings={"schedule_for_now": True, "public_url": NO_NAME},
        check="schedule-for-now",
        told="booked at once",
        fix="unset SCHEDULE_FOR_NOW",
    ),
    "any origin": Wrong(
        settings={"frontend_origins": "*"},
        check="origins",
        told="every web page",
        fix="list the origins",
        state=State.NOTE,
    ),
}

# What is refused at the start, and told by doctor as a finding like the others.
REFUSED: dict[str, tuple[Mapping[str, str], str]] = {
    "a missing variable": ({"SUPABASE_URL": ""}, "SUPABASE_URL is missing"),
    "PostgREST's path": ({"SUPABASE_URL": "https://project.supabase.co/rest/v1"}, "SUPABASE_URL: must not include"),
    "the database's address": ({"SUPABASE_URL": "postgresql://db.project.supabase.co"}, "SUPABASE_URL: "),
    "a line break in a key": ({"SUPABASE_SECRET_KEY": "sb_secret_\nof_two_lines"}, "SUPABASE_SECRET_KEY: has a line"),
    "a short JWT secret": ({"SUPABASE_JWT_SECRET": "short"}, "SUPABASE_JWT_SECRET: is too short"),
    "QStash's path": ({"QSTASH_URL": "https://qstash.upstash.io/v2"}, "QSTASH_URL: must not include /v2"),
    "quotes around the token": ({"QSTASH_TOKEN": '"token"'}, "QSTASH_TOKEN: is in quotes"),
    "the header in place of the token": ({"QSTASH_TOKEN": "Bearer token"}, "QSTASH_TOKEN: has a space"),
    "one signing key twice": ({"QSTASH_NEXT_SIGNING_KEY": "sig_current_0123456789abc"}, "are equal"),
    "PUBLIC_URL without a scheme": ({"PUBLIC_URL": "prebooking.example.com"}, "PUBLIC_URL: must be an http(s) URL"),
    "PUBLIC_URL with a query": ({"PUBLIC_URL": "https://prebooking.example.com/?a=1"}, "PUBLIC_URL: must not have"),
    "an origin with a path": ({"FRONTEND_ORIGINS": "https://app.example.com/a"}, "FRONTEND_ORIGINS: must be origins"),
    "a placeholder": (
        {"AIMHARDER_BOX_URL": "https://<box>.aimharder.com"},
        "AIMHARDER_BOX_URL: has an unknown placeholder",
    ),
    "another placeholder": ({"AIMHARDER_BOX_URL": "https://{gym}.aimharder.com"}, "write {box} for"),
    "a private gym": ({"AIMHARDER_ACCOUNT_URL": "http://10.0.0.1"}, "AIMHARDER_ACCOUNT_URL: is a private address"),
    "a proxy of another kind": ({"AIMHARDER_PROXY": "socks5://127.0.0.1:1080"}, "AIMHARDER_PROXY: "),
    "a lead that is too long": ({"LEAD_SECONDS": "9"}, "leaves too little"),
    "an opening at once, in the cloud": ({"SCHEDULE_FOR_NOW": "true"}, "SCHEDULE_FOR_NOW=true"),
    "notices that nobody signs": (
        {"NOTIFY_WEBHOOK_URL": "https://example.com/hook"},
        "NOTIFY_WEBHOOK_SECRET is missing",
    ),
    "half a session key": ({"SESSION_ENCRYPTION_KEYS": "c2hvcnQ="}, "SESSION_ENCRYPTION_KEYS: each key must be"),
    "a port in words": ({"PORT": "http"}, "PORT: "),
}
