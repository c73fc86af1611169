"""coqui's tokenizer, which also reads languages that coqui-tts has no cleaner for."""

from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
from TTS.tts.utils.text.cleaners import collapse_whitespace, lowercase


class Tokenizer(VoiceBpeTokenizer):
    """Reads the text of a language whose token is in the vocabulary, also where the installed coqui-tts cannot clean it.

    Such a text gets what the forks do for fine-tunes of a new language: lower case and single spaces, and nothing for
    numbers. A cleaner of the installed package comes first, so a fork's own is used.
    """

    def preprocess_text(self, txt: str, lang: str) -> str:
        """Return the text as the model was trained to read it.

        Raises:
            NotImplementedError: the language is neither coqui's nor in the vocabulary, or has a number nobody can read.
        """
        try:
            return str(super().preprocess_text(txt, lang))
        except NotImplementedError:
            if self._cleans(lang) or self.tokenizer.token_to_id(f"[{lang}]") is None:
                raise
            return collapse_whitespace(lowercase(txt))

    def _cleans(self, lang: str) -> bool:
        """Whether the installed package has a cleaner for the language; num2words raises NotImplementedError, too."""
        try:
            super().preprocess_text("a", lang)
        except NotImplementedError:
            return False
        return True
