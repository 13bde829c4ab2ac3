"""Environments of arbitrary strings: what people paste, what breaks clients, and whatever else there is."""

from hypothesis import strategies as st

GOOD = {
    "SUPABASE_URL": "http://127.0.0.1:9",
    "SUPABASE_SECRET_KEY": "sb_secret_of_the_project",
    "QSTASH_URL": "http://127.0.0.1:9",
    "QSTASH_TOKEN": "token",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_current_0123456789abc",
    "QSTASH_NEXT_SIGNING_KEY": "sig_next_0123456789abc",
    "PUBLIC_URL": "https://prebooking.example.com",
    "AIMHARDER_BOX_URL": "http://127.0.0.1:9/{box}",
    "AIMHARDER_ACCOUNT_URL": "http://127.0.0.1:9",
    "SWEEP_SECONDS": "0",
}
USUAL = {
    "SERVICE_API_KEY": "a-service-key-0123456789",
    "METRICS_KEY": "a-metrics-key-0123456789",
    "SUPABASE_JWT_SECRET": "a-jwt-secret-0123456789-0123456789",
    "SESSION_ENCRYPTION_KEYS": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "NOTIFY_WEBHOOK_URL": "https://user:pass@hooks.example.com/a?b=c",
    "NOTIFY_WEBHOOK_SECRET": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "AIMHARDER_PROXY": "http://user:pass@127.0.0.1:9",
    "FRONTEND_ORIGINS": "https://app.example.com,https://*.example.org",
    "CONSOLE": "true",
    "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_x",
    "CONSOLE_MEMBERS": "ana@example.com:secret",
    "LEGACY_BOX_SUBDOMAIN": "mygym",
    "LEGACY_BOX_AIMHARDER_ID": "7",
    "DATABASE_URL": "postgresql://postgres:secret@127.0.0.1:9/postgres",
}


def _split(text: str) -> list[str]:
    return text.split()


_SCHEMES = ["", *_split("http:// http:// https:// https:// HTTPS:// // ftp:// socks5:// postgresql:// http:/")]
_USERS = ["", "", "", *_split("user@ user:pa%20ss@ a:b:c@ :@ @ u@v@ {box}:x@ %zz:x@ [@")]
_HOSTS = [
    *("", "a b", "a\tb", "x" * 64, ".".join(["x" * 60] * 5), "\uff11\uff12.0.0.1", "\u24d4x.com", "ex\u00adample.com"),
    *_split("127.0.0.1 [::1] [::1 ::1 [fe80::1%eth0] [v1.x] [] localhost example.com EXAMPLE.com example.com. .a.com"),
    *_split("a..b -a.com a_b b\u00fccher.de xn--bcher-kva.de xn--zzzzz xn--ls8h.la 1.2.3.999 1.2.3 0x7f.1 127.1"),
    *_split("1.2.3.{box} {box} {box}.com x{box} {gym} * *.com *.example.com app-*.example.com a.*.com *.*.com %6c"),
    *_split("a\\b a,b a;b a&b a'b a\"b a(b a!b a$b a~b"),
]
_PORTS = ["", "", "", *_split(": :80 :443 :0443 :0 :65536 :-1 :x :{box} :\uff11 :9 :99999999999 :+9 :9_9")]
_PATHS = [
    *("", "", "", "/a b", "/a\nb", "/\x7f", "/\ud800", "/" + "x" * 70_000),
    *_split("/ // /api /api/ //api /a/../b /. /%2e%2e/ /% /%zz /\u00fc /{box} /{box ? ?a=b # #f /;a /a:b /a@b /["),
    *_split("/rest/v1 /v2 /qstash/ping /prebookings /healthz /* /?a=b#c /' /\" /< /| /a?b=[] /%00 /%0a /%ff /%2F /\\"),
]
_USUAL_PARTS = (
    ["http://", "https://"],
    [""],
    ["127.0.0.1", "example.com", "[::1]", "{box}.com"],
    ["", ":9"],
    ["", "/api"],
)
_PARTS = (
    st.one_of(*([st.sampled_from(usual)] * 3), st.sampled_from(odd))
    for usual, odd in zip(_USUAL_PARTS, (_SCHEMES, _USERS, _HOSTS, _PORTS, _PATHS), strict=True)
)
_URLS = st.tuples(*_PARTS).map("".join)
_PASTED = st.sampled_from([*GOOD.values(), *USUAL.values()])
_NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from([*_split("0 1 3 60 86400 1e5 1e308 -0 1_000 +5 0x10 \uff11 5s"), "9" * 5000, "1 0"]),
)
_WORDS = st.sampled_from(
    [
        *_split(
            "true false on perhaps debug INFO 5 en EN ca Europe/Madrid ../etc UTC GMT+1 mygym www xn--a 7 7a plain"
        ),
        *_split("plain, 0.0.0.0 :: [::] ::1%\u00e9 ::1%eth0 null ana@x: @:\u00e9\ud800 a@b:c,,d@e:f , {} [] ${HOME}"),
        *_split("%s %(x)s $& \\1 (?P<x> [/red] \u200bkey k\u00a0ey \udcff"),
        *(
            "My Gym",
            "ssh-rsa " + "A" * 40,
            "ssh-ed25519" + "A" * 40,
            "-----BEGIN PUBLIC KEY-----",
            "x" * 5000,
            "a" * 300,
        ),
        *("whsec_-_-_" + "-_" * 20, "whsec_" + "A" * 33, "whsec_" + "A" * 32, "\u00e9" * 40, "Bearer " + "x" * 30),
    ]
)
_ANYTHING = st.text(st.characters(exclude_characters="\0"), max_size=60)  # no environment can have U+0000
_AROUND = st.sampled_from(["", "", "", "\n", " ", "\t", "\r\n", "\u00a0", "\ufeff", '"', "'"])


@st.composite
def _values(draw: st.DrawFn, name: str) -> str:
    own = st.just((GOOD | USUAL).get(name, "5"))
    likely = st.one_of(own, _URLS, _URLS, _URLS) if name.endswith(("_URL", "_PROXY", "_ORIGINS", "_DOMAIN")) else own
    value = draw(st.one_of(likely, likely, _PASTED, _URLS, _NUMBERS, _WORDS, _ANYTHING))
    around = draw(_AROUND)
    return str(draw(st.sampled_from([value, value + around, around + value + around])))


@st.composite
def environments(draw: st.DrawFn, names: list[str]) -> dict[str, str]:
    """Good ones, with some of the others as usual, and up to four values of any kind."""
    usual = draw(st.sets(st.sampled_from(sorted(USUAL)), max_size=6))
    odd = draw(st.lists(st.sampled_from(names), max_size=draw(st.integers(0, 4)), unique=True))
    return GOOD | {name: USUAL[name] for name in usual} | {name: draw(_values(name)) for name in odd}
