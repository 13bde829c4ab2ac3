"""Each outcome has its sentence, in each language: none is missing when a row has to be finished or a user told."""

import pytest

from prebooking.adapters.qstash import notice_texts
from prebooking.domain.notices import Language
from prebooking.domain.outcome import SENTENCES, Ending, Outcome, detail_in


def test_each_outcome_has_a_sentence_of_its_own() -> None:
    assert SENTENCES.keys() == set(Outcome)
    assert len(set(SENTENCES.values())) == len(Outcome)
    assert all(Ending(outcome).message for outcome in Outcome)


@pytest.mark.parametrize("language", notice_texts.WORDS)
def test_each_failure_is_told_in_each_language(language: Language) -> None:
    reasons = notice_texts.WORDS[language].reasons
    assert reasons.keys() >= {outcome for outcome in Outcome if not outcome.success}
    if language != "en":
        assert not set(reasons.values()) & set(SENTENCES.values())


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("words", ["", "No quedan plazas (12/12)", "(0)", ") ("])
def test_the_gyms_words_are_found_in_a_message_as_the_gym_wrote_them(outcome: Outcome, words: str) -> None:
    assert detail_in(Ending(outcome, words).message, outcome) == words


def test_parentheses_of_our_own_are_not_taken_for_the_gyms_words() -> None:
    own = Ending(Outcome.EXPIRED, sentence="The class begins too soon (BOOK_UNTIL_MINUTES_BEFORE=5)")
    assert detail_in(own.message, Outcome.EXPIRED) == ""
