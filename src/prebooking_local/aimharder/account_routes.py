"""Login, session probe and token refresh, on the account host."""

import json
from html import escape

from prebooking_local.aimharder import answers
from prebooking_local.aimharder.accounts import Session, SessionRules
from prebooking_local.aimharder.gym import Box
from prebooking_local.aimharder.request import ES, OF_ES, box_of_url
from prebooking_local.aimharder.site import Call
from prebooking_local.aimharder.wire import Answer, as_html, as_json


def set_session_cookie(call: Call, answer: Answer, session: Session) -> None:
    """Sets the cookie on the parent domain, for all boxes; an address has none, so there the host alone gets it."""
    domain = call.request.domain
    value = session.auth + (OF_ES if domain == ES else "")
    answer.set_cookie("amhrdrauth", value, f"; Domain=.{domain}; HttpOnly" if domain else "; HttpOnly")


def _boxes(call: Call) -> list[Box]:
    return list(call.site.gym.boxes.values())


def login(call: Call) -> Answer:
    """Takes JSON. A form, which the retired login took, is refused."""
    try:
        body = json.loads(call.request.body)
        username, password = str(body["username"]), str(body["password"])
        fingerprint = str(body["fingerprint"])
    except (ValueError, KeyError, TypeError):
        # Invented: the status; the message is recorded.
        return as_json(answers.login_error(400, "LOGIN_ERROR_MALFORMED_BODY"), 400)
    session = call.site.accounts.log_in(username, password, fingerprint, call.site.clock())
    if not isinstance(session, Session):
        member = call.site.accounts.members.get(username.lower())
        return _refused(call.site.accounts.rules, member.language if member else "es", locked=session == "locked")
    answer = as_json(answers.logged_in(session, _boxes(call)))
    set_session_cookie(call, answer, session)
    return answer


def _refused(rules: SessionRules, language: answers.Language, *, locked: bool) -> Answer:
    key = answers.login_error(401, "LOGIN_ERROR_LOGIN")
    if locked:
        match rules.lock_answer:
            case 429:
                return as_html("<h1>429</h1>", 429)
            case 401:
                return as_json(key | {"info": answers.LOCKED[language]}, 401)
            case 200:
                return as_json(answers.not_logged_in(answers.LOCKED[language]))
    if rules.login_says == "words":
        return as_json(answers.not_logged_in(answers.WRONG_PASSWORD[language]), rules.login_failure)
    return as_json(key, 401) if rules.login_failure == 401 else as_json(answers.not_logged_in("LOGIN_ERROR_LOGIN"))


def whoami(call: Call) -> Answer:
    session = call.session()
    if session is not None:
        return as_json(answers.whoami(session.member, _boxes(call)))
    return as_json(answers.LOGOUT if call.site.accounts.rules.dead_whoami == "logout" else {"data": []})


def token_update(call: Call) -> Answer:
    session = call.session()
    token = call.request.form.get("token", "")
    if session is None or not call.site.accounts.refresh(session, token, call.site.clock()):
        return as_json(answers.LOGOUT)
    answer = as_json({"newToken": session.token})
    set_session_cookie(call, answer, session)
    return answer


def setrefresh(call: Call) -> Answer:
    """Hands token and fingerprint to the browser's storage, and admits a fresh login to the boxes."""
    redirect = box_of_url(call.request.query.get("redirect", ""))
    session = call.site.accounts.admit(call.request.query.get("token", ""), redirect)
    if session is None:
        return as_html("<h1>AimHarder</h1>")
    pairs = {"refreshToken": session.token, "fingerprint": call.request.query.get("fingerprint", "")}
    lines = (f"localStorage.setItem({json.dumps(k)}, {json.dumps(escape(v))});" for k, v in pairs.items())
    answer = as_html(f"<script>{''.join(lines)}</script>")
    set_session_cookie(call, answer, session)
    return answer
