"""A file of another model is named: the names of its tensors are those that the classes of the installed coqui-tts make."""

import importlib

import pytest

from tests.support.helpers import assert_fault, save_tiny

# what is said -> (module below TTS, class, module of the config, its class)
COQUI_MODELS = {
    "a VITS model": ("tts.models.vits", "Vits", "tts.configs.vits_config", "VitsConfig"),
    "a Tacotron 2 model": ("tts.models.tacotron2", "Tacotron2", "tts.configs.tacotron2_config", "Tacotron2Config"),
    "a Tacotron model": ("tts.models.tacotron", "Tacotron", "tts.configs.tacotron_config", "TacotronConfig"),
    "a Glow-TTS model": ("tts.models.glow_tts", "GlowTTS", "tts.configs.glow_tts_config", "GlowTTSConfig"),
    "a FastPitch model": ("tts.models.forward_tts", "ForwardTTS", "tts.configs.fast_pitch_config", "FastPitchConfig"),
    "an AlignTTS model": ("tts.models.align_tts", "AlignTTS", "tts.configs.align_tts_config", "AlignTTSConfig"),
    "an OverFlow model": ("tts.models.overflow", "Overflow", "tts.configs.overflow_config", "OverflowConfig"),
    "a Neural HMM TTS model": ("tts.models.neuralhmm_tts", "NeuralhmmTTS", "tts.configs.neuralhmm_tts_config", "NeuralhmmTTSConfig"),
    "a Delightful TTS model": ("tts.models.delightful_tts", "DelightfulTTS", "tts.configs.delightful_tts_config", "DelightfulTTSConfig"),
    "a vocoder trained by itself": ("vocoder.models.gan", "GAN", "vocoder.configs.hifigan_config", "HifiganConfig"),
    "a WaveRNN vocoder": ("vocoder.models.wavernn", "Wavernn", "vocoder.configs.wavernn_config", "WavernnConfig"),
    "a WaveGrad vocoder": ("vocoder.models.wavegrad", "Wavegrad", "vocoder.configs.wavegrad_config", "WavegradConfig"),
    "an OpenVoice model": ("vc.models.openvoice", "OpenVoice", "vc.configs.openvoice_config", "OpenVoiceConfig"),
}  # fmt: skip


def with_names_of(model):
    import torch

    return {key: torch.zeros(2, device="cpu") for key in model.state_dict()}


@pytest.mark.parametrize("what", COQUI_MODELS)
def test_a11_other_models_of_coqui_are_named(tmp_path, capsys, what):
    from verify.coqui.model import _parameters_on_meta

    module, name, config_module, config_name = COQUI_MODELS[what]
    model_class = getattr(importlib.import_module(f"TTS.{module}"), name)
    config = getattr(importlib.import_module(f"TTS.{config_module}"), config_name)()
    with _parameters_on_meta():  # names are all that is wanted of it
        state = with_names_of(model_class(config))
    source = save_tiny(tmp_path / "best_model.pth", state)
    assert_fault(capsys, source, 2, "holds no XTTS weights", f"this looks like {what}")


def test_a11_tortoises_gpt_is_told_from_that_of_an_xtts(tmp_path, capsys):
    import torch
    from TTS.tts.layers.tortoise.autoregressive import UnifiedVoice

    from verify.coqui.model import _parameters_on_meta

    with _parameters_on_meta():
        model = UnifiedVoice(layers=1, model_dim=16, heads=2, max_text_tokens=8, max_mel_tokens=8)
    torch.save(with_names_of(model), tmp_path / "autoregressive.pth")
    assert_fault(capsys, tmp_path / "autoregressive.pth", 2, "this looks like Tortoise's autoregressive.pth")


@pytest.mark.parametrize("prefix", ["", "hifigan_decoder."])
def test_a11_the_vocoder_alone(model_parts, tmp_path, capsys, prefix):
    import torch

    name = "hifigan_decoder."
    state = {prefix + key.removeprefix(name): value for key, value in model_parts[0].items() if key.startswith(name)}
    torch.save(state, tmp_path / "vocoder.pth")
    assert_fault(capsys, tmp_path / "vocoder.pth", 2, "this looks like the vocoder of an XTTS saved by itself")


def test_a11_a_speaker_encoder(tmp_path, capsys):
    import torch
    from TTS.encoder.models.resnet import ResNetSpeakerEncoder

    torch.save(with_names_of(ResNetSpeakerEncoder()), tmp_path / "model_se.pth")
    assert_fault(capsys, tmp_path / "model_se.pth", 2, "this looks like a speaker encoder saved by itself")


def test_a11_what_nobody_knows_is_shown(tmp_path, capsys):
    import torch

    torch.save({"blocks.0.w": torch.zeros(2), "blocks.1.w": torch.zeros(2)}, tmp_path / "x.pth")
    assert_fault(capsys, tmp_path / "x.pth", 2, "holds no XTTS weights: its tensors are blocks.{0-1}.w")
