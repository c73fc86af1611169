"""The tables of config fields are coqui's own, and an inference config keeps nothing of the training."""

import dataclasses

from verify import resources
from verify.source import config as configs


def test_the_field_tables_are_those_of_the_installed_coqui():
    from TTS.tts.configs.xtts_config import XttsArgs, XttsAudioConfig, XttsConfig

    def names(cls):
        return {field.name for field in dataclasses.fields(cls)}

    table = resources.load("xtts")
    assert set(table["top"]) <= names(XttsConfig)
    assert set(table["audio"]) == names(XttsAudioConfig)
    paths = {"gpt_checkpoint", "clvp_checkpoint", "decoder_checkpoint", "tokenizer_file"}
    assert set(table["model_args"]) == names(XttsArgs) - paths
    for name, value in table["defaults"].items():
        assert getattr(XttsArgs(), name) == value


def test_a_training_config_loses_what_belongs_to_training():
    raw = {
        "output_path": "/home/me",
        "lr": 1.0,
        "max_audio_len": float("inf"),
        "temperature": 0.7,
        "model_args": {"gpt_layers": 3, "dvae_checkpoint": "/x"},
    }
    kept = configs.inference_config(raw, "test")
    assert kept["model_args"] == {"gpt_layers": 3, "tokenizer_file": ""}
    assert kept == {"model": "xtts", "temperature": 0.7, "audio": {}, "model_args": kept["model_args"]}
