"""Words without a download: a text is aligned to a clip, and what is not in the clip does not fit."""

import numpy as np
import pytest
import soundfile

from verify import resources
from verify.audio import words

pytest.importorskip("pocketsphinx")
RATE_HZ = 16000
FOX = "The quick brown fox jumps over the lazy dog."


@pytest.fixture(scope="module")
def fox():
    """The first sentence of the project's clip."""
    samples, rate_hz = soundfile.read(resources.DEFAULT_REFERENCE, dtype="float32")
    assert rate_hz == RATE_HZ
    return samples[: int(2.9 * RATE_HZ)]


def passes(samples, text, rate_hz=RATE_HZ, language="en"):
    """Whether every check of words passes; None where there is none."""
    checks = words.word_checks(samples, rate_hz, text, language)
    return all(check.ok for check in checks) if checks else None


def test_the_words_of_a_clip_fit(fox):
    assert passes(fox, FOX)


@pytest.mark.parametrize(
    "text",
    [
        "Hello.",
        "The quick brown fox.",  # and more is said
        "There is no need to hurry, we have the whole day.",
        "The quick brown fox is late for the train today.",
    ],
)
def test_other_words_do_not_fit(fox, text):
    assert passes(fox, text) is False


def test_the_demo_says_nothing_but_its_sentence():
    samples, rate_hz = soundfile.read(resources.ASSETS / "speaking" / "en.flac", dtype="float32")
    assert [passes(samples, text, rate_hz) for text in ("Can you hear me?", "Hello.")] == [True, False]


def test_silence_has_no_words_and_broken_samples_do_no_harm():
    for samples in (np.zeros(RATE_HZ, np.float32), np.full(RATE_HZ, np.nan, np.float32), np.zeros(0, np.float32)):
        assert passes(samples, FOX) is False


def test_a_clip_is_judged_alike_whatever_was_heard_before(fox):
    first = words.word_checks(fox, RATE_HZ, FOX, "en")
    passes(fox[::-1] * 0.1, "Hello.")
    assert words.word_checks(fox, RATE_HZ, FOX, "en") == first


def test_numbers_are_words_and_what_the_dictionary_lacks_is_not_judged(fox):
    assert words.known_words("It’s 21 well-known birds.", "en") == ("it's", "twenty", "one", "well", "known", "birds")
    for text, language in (("Zyxqw sings.", "en"), ("Ein Haus.", "de"), ("Дом", "en"), ("?", "en")):
        assert passes(fox, text, language=language) is None
