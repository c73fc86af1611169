"""There is a sentence to speak, and a pace to expect, for every language of XTTS."""

from tests.support.helpers import XTTS_LANGUAGES
from verify import resources


def test_there_is_a_sentence_and_a_pace_for_every_language():
    sentences = resources.load("sentences")
    assert set(sentences) == XTTS_LANGUAGES
    for name, item in sentences.items():
        assert 8 <= len(item["text"]) <= 60, name
        assert 1 < item["slowest"] < item["fastest"] / 3
