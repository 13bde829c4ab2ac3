"""The JSON of AimHarder's answers. Every business outcome is a 200; ids are strings here and numbers in a listing."""

from typing import Any, Literal

from prebooking_local.aimharder.accounts import Member, Session
from prebooking_local.aimharder.gym import Box, Reservation
from prebooking_local.aimharder.rules import Refusal

Json = dict[str, Any]
Language = Literal["es", "ca", "en"]

LOGOUT: Json = {"logout": 1}

_TOO_MANY_DAYS: dict[Language, str] = {
    "es": "No puedes reservar clases con más de {} días de antelación",
    "ca": "No pots reservar classes amb més de {} dies d'antelació",
    "en": "You can't book classes with more than {} days of anticipation",
}
# Invented: only the key of the variant in hours is recorded.
_TOO_MANY_HOURS: dict[Language, str] = {
    "es": "No puedes reservar clases con más de {} horas de antelación",
    "ca": "No pots reservar classes amb més de {} hores d'antelació",
    "en": "You can't book classes with more than {} hours of anticipation",
}
# Invented: the Catalan and the English one.
_SAME_HOUR: dict[Language, str] = {
    "es": "No puedes hacer más de una reserva a la misma hora",
    "ca": "No pots fer més d'una reserva a la mateixa hora",
    "en": "You can't make more than one booking at the same time",
}
_STATES = {
    Refusal.FULL: -1,
    Refusal.NO_CREDIT: -2,
    Refusal.UNPAID: -5,
    Refusal.TOO_LATE: -7,
    Refusal.CLASS_LIMIT: -9,
}
# Invented: these texts, and the keys from the second line on. What a box says to the id of a class that is
# gone, and to a family member it doesn't know, nobody has recorded.
_STATEMENTS = {
    Refusal.CONTRACT_LIMIT: ("HASSUPERADOLIMITCONTR", "Has superado el límite de clases contratadas"),
    Refusal.NO_SUCH_CLASS: ("ERROR_CLASE_NO_EXISTE", "La clase no existe"),
    Refusal.CANCELLED: ("ERROR_CLASE_CANCELADA", "La clase ha sido cancelada"),
    Refusal.STAFF_ONLY: ("ERROR_RESERVA_SOLO_ADMIN", "Esta clase sólo la puede reservar el centro"),
    Refusal.NO_SUCH_RELATIVE: ("ERROR_FAMILIAR_NO_VALIDO", "El familiar no es válido"),
}


def _statement(key: str, text: str) -> Json:
    return {"bookState": -12, "errorMssg": text, "errorMssgLang": key}


def _too_early(box: Box, language: Language) -> Json:
    match box.too_early:
        case "global":
            return {"bookState": -4}
        case "hours":
            text = _TOO_MANY_HOURS[language].format(box.days_ahead * 24)
            return _statement("ERROR_ANTELACION_CLIENTE_HORAS", text)
        case "days":
            text = _TOO_MANY_DAYS[language].format(box.days_ahead)
            return _statement("ERROR_ANTELACION_CLIENTE", text)


def _refused(refusal: Refusal, box: Box, language: Language) -> Json:
    match refusal:
        case Refusal.TOO_EARLY:
            return _too_early(box, language)
        case Refusal.SAME_HOUR:
            return _statement("NOPUEDESRESERVAMISMAHORA", _SAME_HOUR[language])
        case Refusal.DAILY_MAX:
            return {"bookState": -8, "max": box.daily_max}
    return {"bookState": _STATES[refusal]} if refusal in _STATES else _statement(*_STATEMENTS[refusal])


def booking(outcome: Reservation | Refusal, box: Box, member: Member) -> Json:
    contracted = {"clasesContratadas": "CROSSFIT, OPEN BOX", "hasPublicMemberships": 1}
    if isinstance(outcome, Refusal):
        return contracted | _refused(outcome, box, member.language)
    state = box.booked_answer if outcome.state == 1 else box.waiting_answer
    return contracted | {"bookState": state, "id": str(outcome.id)}


def roles(boxes: list[Box]) -> list[Json]:
    return [
        {
            "id": box.boid,
            "boid": box.boid,
            "role": "client",
            "gym": box.name,
            "centre_url": f"{box.slug}.{box.domain}",
        }
        for box in boxes
    ]


def logged_in(session: Session, boxes: list[Box]) -> Json:
    member = session.member
    user = {"id": member.id, "name": member.name, "roles": roles(boxes)}
    return {
        "data": {"userData": user, "auth": {"authOK": True, "refreshToken": session.token}},
        "info": "",
    }


def whoami(member: Member, boxes: list[Box]) -> Json:
    centre = boxes[0].name if boxes else ""
    return {"data": [{"id": member.id, "name": member.name, "centre": centre, "roles": roles(boxes)}]}


# Of the retired login: the words are recorded, the Catalan ones and their place in the JSON are invented.
WRONG_PASSWORD: dict[Language, str] = {
    "es": "Contraseña incorrecta",
    "ca": "Contrasenya incorrecta",
    "en": "Incorrect credentials",
}
LOCKED: dict[Language, str] = {
    "es": "Has introducido tus datos incorrectos demasiadas veces",
    "ca": "Has introduït les dades incorrectes massa vegades",
    "en": "Too many wrong attempts",
}


def not_logged_in(words: str) -> Json:
    return {"data": {"auth": {"authOK": False}}, "info": words}


def login_error(code: int, message: str) -> Json:
    return {"error": {"code": code, "message": message}}
