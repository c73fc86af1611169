"""The architecture is read from the shapes, and a config that contradicts it is one cause."""

from tests.support.helpers import tensor_record
from verify.diagnosis.architecture import read_architecture
from verify.diagnosis.config_check import config_causes


def v2_records(layers=(0, 1), width=8, rows=6681):
    tensors = {f"gpt.gpt.h.{n}.ln_1.weight": (width,) for n in layers}
    tensors |= {"gpt.text_embedding.weight": (rows, width), "gpt.conditioning_perceiver.latents": (32, width)}
    tensors |= {"gpt.mel_pos_embedding.emb.weight": (608, width), "gpt.text_pos_embedding.emb.weight": (404, width)}
    return {key: tensor_record(key, shape=shape, stride=(1,) * len(shape)) for key, shape in tensors.items()}


def test_the_architecture_is_read_from_the_shapes():
    found = read_architecture(v2_records())
    assert (found.version, found.base) == ("v2", "v2.0.3")
    assert found.fields["gpt_layers"] == 2
    assert found.fields["gpt_max_audio_tokens"] == 605
    assert found.fields["gpt_max_text_tokens"] == 402


def test_all_wrong_fields_of_a_config_are_one_cause():
    args = {"gpt_layers": 4, "gpt_n_model_channels": 16, "gpt_use_perceiver_resampler": True}
    (cause,) = config_causes(read_architecture(v2_records()), args, "config.json")
    assert "gpt_layers is 4, the weights call for 2" in cause.message
    assert "gpt_n_model_channels is 16, the weights call for 8" in cause.message
    assert (
        config_causes(read_architecture(v2_records()), args | {"gpt_layers": 2, "gpt_n_model_channels": 8}, "x") == ()
    )


def test_layers_that_the_weights_lack_may_be_lost():
    (cause,) = config_causes(
        read_architecture(v2_records(layers=range(10))),
        {"gpt_layers": 30, "gpt_n_model_channels": 8, "gpt_use_perceiver_resampler": True},
        "x",
    )
    assert "layers 10 to 29 are lost" in cause.hint
