"""The table of symptoms: each row speaks for a text of its own, rows that both fit have an order, and what is told helps."""

import json
import re

import pytest

from tests.support.helpers import run_cli
from verify.diagnosis import symptoms
from verify.diagnosis.explain import explain
from verify.diagnosis.pasted_text import clean
from verify.errors import ConversionError

KINDS = (*symptoms.KINDS, symptoms.HARMLESS)


def frames(*places, error=""):
    """Return a traceback as Python prints it, of `file:function` places."""
    lines = [
        f'  File "{place.split(":")[0]}", line {number + 7}, in {place.split(":")[1]}\n    call(it)'
        for number, place in enumerate(places)
    ]
    return "\n".join(["Traceback (most recent call last):", *lines, error])


XTTS = "/venv/lib/python3.11/site-packages/TTS/tts/models/xtts.py"
GPT = "/venv/lib/python3.11/site-packages/TTS/tts/layers/xtts/gpt.py"
LOADS = frames(
    "/app/serve.py:<module>",
    f"{XTTS}:load_checkpoint",
    "/venv/lib/python3.11/site-packages/torch/serialization.py:load",
    error="{}",
)

# row -> texts, made here after the kind of text that users meet
# fmt: off
TEXTS = {
    # load
    "config-object": [
        LOADS.format("_pickle.UnpicklingError: Weights only load failed. WeightsUnpickler error: Unsupported global: GLOBAL TTS.tts.configs.xtts_config.XttsConfig was not an allowed global by default."),
        "engine error: Weights only load failed. WeightsUnpickler error: Unsupported class TTS.tts.models.xtts.XttsAudioConfig",
    ],
    "harmless-global": ["WeightsUnpickler error: Unsupported global: GLOBAL collections.defaultdict was not an allowed global by default.", "WeightsUnpickler error: Unsupported global: GLOBAL numpy.dtype was not an allowed global"],
    "code-in-pickle": ["_pickle.UnpicklingError: Weights only load failed. WeightsUnpickler error: Unsupported global: GLOBAL posix.system was not an allowed global by default."],
    "weights-only-failed": ["_pickle.UnpicklingError: Weights only load failed. In PyTorch 2.6, we changed the default value of the `weights_only` argument."],
    "speakers-damaged": [frames(f"{XTTS}:load_checkpoint", "/venv/TTS/tts/layers/xtts/xtts_manager.py:__init__", "/venv/torch/serialization.py:_legacy_load", error="EOFError: Ran out of input")],
    "tokenizer-is-html-or-empty": [frames(f"{XTTS}:load_checkpoint", "/venv/TTS/tts/layers/xtts/tokenizer.py:__init__", error="Exception: expected value at line 1 column 1")],
    "json-broken": [frames("/venv/coqpit/coqpit.py:load_json", "/usr/lib/python3.11/json/decoder.py:raw_decode", error="json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)")],
    "html-page": [LOADS.format("_pickle.UnpicklingError: invalid load key, '<'.")],
    "git-lfs-pointer": [LOADS.format("_pickle.UnpicklingError: invalid load key, 'v'.")],
    "safetensors-damaged": ["safetensors_rust.SafetensorError: Error while deserializing header: MetadataIncompleteBuffer"],
    "container-damaged": [LOADS.format("RuntimeError: PytorchStreamReader failed reading file data/12: file read failed"), "EOFError: Ran out of input", "zipfile.BadZipFile: File is not a zip file"],
    "restored-inference-file": [frames("/venv/trainer/trainer.py:restore_model", "/app/train.py:main", error="KeyError: 'epoch'")],
    "optimizer-of-another-run": ["ValueError: loaded state dict contains a parameter group that doesn't match the size of optimizer's group"],
    "no-model-in-file": [frames(f"{XTTS}:get_compatible_checkpoint_state_dict", error="KeyError: 'model'")],
    # environment
    "transformers-cache-argument": [frames(f"{XTTS}:inference", "/venv/TTS/tts/layers/xtts/gpt_inference.py:prepare_inputs_for_generation", error="AttributeError: 'NoneType' object has no attribute 'get_seq_length'")],
    "transformers-cache-tuple": ["AttributeError: 'tuple' object has no attribute 'get_seq_length'"],
    "isin-mps-friendly": ["ImportError: cannot import name 'isin_mps_friendly' from 'transformers.pytorch_utils' (/venv/transformers/pytorch_utils.py)"],
    "removed-from-transformers": ["ImportError: cannot import name 'LogitsWarper' from 'transformers' (/venv/__init__.py)", "ModuleNotFoundError: No module named 'transformers.generation.beam_search'", "ImportError: cannot import name 'SampleOutput' from 'transformers.generation.utils'", "ImportError: cannot import name 'GenerationMixin' from 'transformers'"],
    "lazy-transformers-import": ["ModuleNotFoundError: Could not import module 'GPT2PreTrainedModel'. Are this object's requirements defined correctly?", "RuntimeError: Failed to import transformers.models.gpt2.modeling_gpt2 because of the following error (look up to see its traceback)"],
    "inference-model-cannot-generate": ["AttributeError: 'GPT2InferenceModel' object has no attribute 'generate'. Did you mean: 'generation_config'?"],
    "streaming-of-another-age": [
        "AttributeError: 'GenerationConfig' object has no attribute 'do_stream'", "AttributeError: 'int' object has no attribute '_pad_token_tensor'",
        frames(f"{XTTS}:inference_stream", f"{GPT}:get_generator", error="AttributeError: 'int' object has no attribute 'device'"),
    ],
    "generate-of-another-age": ["TypeError: GPT2InferenceModel.forward() got an unexpected keyword argument 'cache_position'", "ValueError: The following `model_kwargs` are not used by the model: ['cond_latents']"],
    "huggingface-hub-age": ["ImportError: cannot import name 'cached_download' from 'huggingface_hub'", "ImportError: huggingface-hub>=0.34.0,<1.0 is required for a normal functioning of this module, but found huggingface-hub==1.1.2."],
    "old-tts-on-new-python": ["ERROR: No matching distribution found for TTS", "ValueError: mutable default <class 'TTS.config.shared_configs.BaseAudioConfig'> for field audio is not allowed: use default_factory"],
    "no-coqui": ["ModuleNotFoundError: No module named 'TTS'"],
    "tts-before-xtts": ["ModuleNotFoundError: No module named 'TTS.tts.configs.xtts_config'"],
    "different-cuda": ["RuntimeError: Detected that PyTorch and TorchAudio were compiled with different CUDA versions. PyTorch has CUDA version 13.0 whereas TorchAudio has CUDA version 12.8."],
    "ffmpeg-static": ["OSError: Could not load this library: C:\\venv\\Lib\\site-packages\\torchcodec\\libtorchcodec_core6.dll"],
    "torchcodec": ["ImportError: TorchCodec is required for load_with_torchcodec. Please install torchcodec to use this function.", "RuntimeError: Could not load libtorchcodec. Likely causes: FFmpeg is not properly installed in your environment", "ModuleNotFoundError: No module named 'torchcodec'", "ImportError: From Pytorch 2.9, the torchcodec library is required for audio IO, but it was not found"],
    "torchaudio-backend": ["RuntimeError: Couldn't find appropriate backend to handle uri ref.wav and format None.", "AttributeError: module 'torchaudio' has no attribute 'list_audio_backends'"],
    "no-torchaudio": ["ModuleNotFoundError: No module named 'torchaudio'", "ModuleNotFoundError: No module named 'torch'"],
    "cpu-and-cuda-builds": ["OSError: libcudart.so.13: cannot open shared object file: No such file or directory", "OSError: /venv/torchaudio/lib/libtorchaudio.so: undefined symbol: _ZNK3c105Error4whatEv"],
    "torchvision": ["RuntimeError: operator torchvision::nms does not exist"],
    "torch-too-old-for-transformers": ["AttributeError: module 'torch.utils._pytree' has no attribute 'register_pytree_node'", "ValueError: Due to a serious vulnerability issue in `torch.load`, even with `weights_only=True`, we now require users to upgrade torch to at least v2.6"],
    "numpy-abi": ["ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject", "A module that was compiled using NumPy 1.x cannot be run in\nNumPy 2.4.6 as it may crash.\nImportError: numpy.core.multiarray failed to import", "AttributeError: module 'numpy' has no attribute 'float'."],
    "deepspeed": [frames("/venv/deepspeed/ops/op_builder/builder.py:jit_load", error="RuntimeError: Error building extension 'transformer_inference'"), "ModuleNotFoundError: No module named 'deepspeed'", "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root."],
    "vllm": ["ModuleNotFoundError: No module named 'vllm'", "ImportError: cannot import name 'TokensPrompt' from 'vllm.inputs'"],
    "cudnn": ["Could not locate cudnn_ops_infer64_8.dll. Please make sure it is in your library path!", "RuntimeError: Library cublas64_12.dll is not found or cannot be loaded"],
    "gpu-not-of-this-torch": ["AssertionError: Torch not compiled with CUDA enabled", "RuntimeError: CUDA error: no kernel image is available for execution on the device"],
    "cuda-file-on-cpu": ["RuntimeError: Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False."],
    "mps": ["NotImplementedError: Output channels > 65536 not supported at the MPS device."],
    "language-package": ["ModuleNotFoundError: No module named 'cutlet'", "RuntimeError: Failed initializing MeCab. Please see the README for possible solutions"],
    "six-undeclared": [frames("/venv/TTS/tts/utils/text/punctuation.py:<module>", error="ModuleNotFoundError: No module named 'six'")],
    "pkg-resources": ["ModuleNotFoundError: No module named 'pkg_resources'"],
    "gradio-age": [frames("/venv/gradio_client/utils.py:get_type", error="TypeError: argument of type 'bool' is not iterable")],
    "openmp-twice": ["OMP: Error #15: Initializing libiomp5md.dll, but found libiomp5md.dll already initialized."],
    "build-tools": ["error: Microsoft Visual C++ 14.0 or greater is required.", "ERROR: Failed to build installable wheels for some pyproject.toml based projects (monotonic_alignment_search)"],
    "dll": ["ImportError: DLL load failed while importing _sdp: The specified module could not be found.", "OSError: libsndfile.so.1: cannot open shared object file: No such file or directory"],
    "module-missing": ["ModuleNotFoundError: No module named 'librosa'"],
    # use
    "wrong-trainer": ["NotImplementedError: XTTS has a dedicated trainer, please check the XTTS docs"],
    "not-multilingual": ["ValueError: Model is not multi-lingual but `language` is provided."],
    "language-none": ["AssertionError:  ❗ Language None is not supported. Supported languages are ['en', 'es']"],
    "language-unknown": ["AssertionError:  ❗ Language th is not supported. Supported languages are ['en', 'es']", "KeyError: 'uk'", "NotImplementedError: Language 'bn' is not supported."],
    "speaker-unknown": [frames(f"{XTTS}:synthesize", "/app/a.py:f", error="    self.speaker_manager.speakers[speaker_id]\nKeyError: 'Ana Nobody'")],
    "no-named-voices": ["AttributeError: 'TTS' object has no attribute 'speakers'", "AttributeError: 'NoneType' object has no attribute 'name_to_id'"],
    "no-speaker-wav": ["RuntimeError: Error opening it\nsoundfile: Invalid file: None", "ValueError: [!] Looks like you are using a multi-speaker model. You need to define either a `speaker_idx` or a `speaker_wav`", "TypeError: Xtts.inference() missing 2 required positional arguments: 'gpt_cond_latent' and 'speaker_embedding'"],
    "no-speakers-list": [frames("/app/a.py:main", error="    tts.tts_to_file(text, speaker=tts.speakers[0])\nTypeError: 'NoneType' object is not subscriptable")],
    "opened-as-language-model": ["ValueError: Unrecognized model in models/my_xtts. Should have a `model_type` key in its config.json, or contain one of the following strings in its name: albert", "KeyError: 'xtts'"],
    "not-loaded": ["AttributeError: 'NoneType' object has no attribute 'get_conditioning_latents'"],
    "no-tokenizer": [frames(f"{XTTS}:inference", error="AttributeError: 'NoneType' object has no attribute 'encode'")],
    "not-in-inference-mode": ["AttributeError: 'GPT' object has no attribute 'gpt_inference'"],
    "argument-of-another-age": ["TypeError: Xtts.load_checkpoint() got an unexpected keyword argument 'enable_deepspeed'"],
    "no-samples": ["ValueError: num_samples should be a positive integer value, but got num_samples=0", "AssertionError:  [!] No training samples found in /data/metadata.csv"],
    "empty-config-field": ["AttributeError: 'XttsConfig' object has no attribute 'use_d_vector_file'"],
    # speech
    "too-many-tokens": ["AssertionError:  ❗ XTTS can only generate text with a maximum of 400 tokens."],
    "id-out-of-range": ["Indexing.cu:1553: indexSelectLargeIndex: block: [12,0,0] Assertion `srcIndex < srcSelectDimSize` failed.\nRuntimeError: CUDA error: device-side assert triggered", "IndexError: index out of range in self"],
    "out-of-memory-loading": [frames(f"{XTTS}:load_checkpoint", "/venv/torch/serialization.py:_load", error="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 32.00 MiB.")],
    "out-of-memory-training": [frames("/venv/trainer/trainer.py:train_step", error="torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.20 GiB.")],
    "out-of-memory-speaking": [frames(f"{XTTS}:inference", f"{GPT}:generate", error="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.")],
    "clip-too-short": ["RuntimeError: Calculated padded input size per channel: (4). Kernel size: (5). Kernel size can't be greater than actual input size"],
    "not-finite": ["RuntimeError: probability tensor contains either `inf`, `nan` or element < 0"],
    "half-on-cpu": ['RuntimeError: "LayerNormKernelImpl" not implemented for \'Half\'', "RuntimeError: expected scalar type Half but found Float"],
    "two-devices": ["RuntimeError: Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"],
    "shapes-while-speaking": ["RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x512 and 1024x1024)"],
    "cuda-fault": ["RuntimeError: CUDA error: an illegal memory access was encountered"],
    # files
    "folder-of-converter": [frames("/src/auralis/models/xttsv2/utils/checkpoint_converter.py:convert", error='safetensors_rust.SafetensorError: Error while serializing: IoError(Os { code: 2, kind: NotFound, message: "No such file or directory" })')],
    "zip-for-folder": ["NotADirectoryError: [Errno 20] Not a directory: '/models/voice.zip/config.json'"],
    "folder-for-file": ["IsADirectoryError: [Errno 21] Is a directory: '/models/xtts'"],
    "no-checkpoint-dir": [frames(f"{XTTS}:load_checkpoint", "/usr/lib/python3.11/posixpath.py:join", error="TypeError: expected str, bytes or os.PathLike object, not NoneType")],
    "no-path": [frames("/app/run.py:main", "/usr/lib/python3.11/posixpath.py:split", error="TypeError: expected str, bytes or os.PathLike object, not NoneType")],
    "no-speakers-file": ["FileNotFoundError: [Errno 2] No such file or directory: '/srv/xtts/base/speakers_xtts.pth'", "speakers_xtts.pth not found in the model folder"],
    "no-config-file": ["FileNotFoundError: [Errno 2] No such file or directory: 'C:/tts/base/config.json'", "OSError: config.json is missing"],
    "no-vocab-file": ["FileNotFoundError: [Errno 2] No such file or directory: '/runs/x/vocab.json'", frames(f"{XTTS}:load_checkpoint", "/venv/TTS/tts/layers/xtts/tokenizer.py:__init__", error="Exception: No such file or directory (os error 2)")],
    "no-training-files": ["FileNotFoundError: [Errno 2] No such file or directory: 'XTTS_v2.0_original_model_files/dvae.pth'", "FileNotFoundError: [Errno 2] No such file or directory: '/base/mel_stats.pth'"],
    "no-model-file": ["FileNotFoundError: [Errno 2] No such file or directory: '/runs/x/model.pth'", "ValueError: Model file not found in the output path"],
    "required-files": ["[AllTalk TTS] Error: Model folder is missing required files or the folder does not exist."],
    "no-clip-file": ["soundfile.LibsndfileError: Error opening 'me.wav': System error.", "FileNotFoundError: [Errno 2] No such file or directory: 'speaker.wav'"],
    "no-metadata": ["FileNotFoundError: [Errno 2] No such file or directory: '/data/metadata_train.csv'"],
    "disk-full": ["OSError: [Errno 28] No space left on device"],
    "download-failed": ["requests.exceptions.ConnectionError: HTTPSConnectionPool(host='coqui.gateway.scarf.sh', port=443): Max retries exceeded with url: /hf-coqui/XTTS-v2"],
    "terms": [frames("/venv/TTS/utils/manage.py:ask_tos", error="EOFError: EOF when reading a line")],
    "console-encoding": ["UnicodeDecodeError: 'charmap' codec can't decode byte 0x9d in position 11"],
    "permission": ["PermissionError: [Errno 13] Permission denied: 'C:/models/x/model.pth'"],
    "no-file": ["FileNotFoundError: [Errno 2] No such file or directory: 'settings/voices.ini'"],
    # harmless
    "future-warning-weights-only": ["/venv/TTS/utils/io.py:54: FutureWarning: You are using `torch.load` with `weights_only=False` (the current default value)"],
    "bos-token-id": ["The attention mask and the pad token id were not set. As a consequence, you may observe unexpected behavior.", "UserWarning: `bos_token_id` should be set"],
    "generation-mixin": ["GPT2InferenceModel has generative capabilities, as `prepare_inputs_for_generation` is explicitly defined. However, it doesn't directly inherit from `GenerationMixin`."],
    "modified-generation-config": ["UserWarning: You have modified the pretrained model configuration to control generation."],
    "character-limit": ["[!] Warning: The text length exceeds the character limit of 250 for language 'en', this might cause truncated audio."],
    "deprecations": ["FutureWarning: `torch.nn.utils.weight_norm` is deprecated in favor of `torch.nn.utils.parametrizations.weight_norm`."],
}
# fmt: on
CASES = [(row, text) for row, texts in TEXTS.items() for text in texts]


def rows(kinds=KINDS):
    return [symptom for kind in kinds for symptom in symptoms.table(kind)]


def test_every_row_has_texts_of_its_own_and_no_name_stands_twice():
    names = [symptom.name for symptom in rows()]
    assert len(names) == len(set(names))
    assert set(names) == set(TEXTS)


@pytest.mark.parametrize(("row", "text"), CASES, ids=[f"{row}-{number}" for number, (row, _) in enumerate(CASES)])
def test_the_row_speaks_first_in_its_text(row, text):
    found = symptoms.find(clean(text), symptoms.KINDS) or symptoms.find(clean(text), (symptoms.HARMLESS,))
    assert found is not None
    assert found.symptom.name == row
    assert "{" not in found.means + found.next.replace('{"model"', "")


def test_the_command_tells_every_row_to_people(tmp_path, capsys):
    for row, text in CASES:
        (tmp_path / "error.txt").write_text(text, encoding="utf-8")
        code, out, _ = run_cli(capsys, "explain", tmp_path / "error.txt", "--json")
        document = json.loads(out)
        symptom = next(symptom for symptom in rows() if symptom.name == row)
        assert symptom.code in [cause["code"] for cause in document["causes"]], row
        assert code == (0 if symptom.kind == symptoms.HARMLESS else 1), row
        assert all(cause["hint"] for cause in document["causes"])


@pytest.mark.parametrize("symptom", rows(), ids=lambda symptom: symptom.name)
def test_what_a_row_tells_to_install_is_one_line_for_every_shell(symptom):
    hint = symptoms.Match(symptom=symptom).next
    assert "weights_only=False" not in hint
    for line in re.findall(r"pip install (?:\"[^\"]*\"|[\w -])*", hint):
        assert not re.search(r"[<>=']", re.sub(r'"[^"]*"', "", line)), line  # bare, < and > are a redirection


# texts in which two rows fit -> the one that speaks; the other would mislead
BOTH = [
    ("speakers-damaged", "container-damaged", TEXTS["speakers-damaged"][0]),
    ("config-object", "weights-only-failed", TEXTS["config-object"][0]),
    ("harmless-global", "code-in-pickle", TEXTS["harmless-global"][0]),
    ("html-page", "container-damaged", TEXTS["html-page"][0]),
    ("git-lfs-pointer", "container-damaged", TEXTS["git-lfs-pointer"][0]),
    ("cpu-and-cuda-builds", "dll", TEXTS["cpu-and-cuda-builds"][0]),
    ("numpy-abi", "lazy-transformers-import", TEXTS["lazy-transformers-import"][1] + "\nnumpy.core.multiarray failed to import"),
    ("no-speaker-wav", "no-clip-file", TEXTS["no-speaker-wav"][0]),
    ("dll", "no-file", TEXTS["dll"][1]),
    ("torchcodec", "module-missing", TEXTS["torchcodec"][2]),
    ("ffmpeg-static", "torchcodec", TEXTS["ffmpeg-static"][0]),
    ("isin-mps-friendly", "removed-from-transformers", TEXTS["isin-mps-friendly"][0]),
    ("vllm", "module-missing", TEXTS["vllm"][0]),
    ("deepspeed", "module-missing", TEXTS["deepspeed"][1]),
    ("no-coqui", "module-missing", TEXTS["no-coqui"][0]),
    ("out-of-memory-loading", "out-of-memory-speaking", TEXTS["out-of-memory-loading"][0]),
    ("out-of-memory-training", "out-of-memory-speaking", TEXTS["out-of-memory-training"][0]),
    ("no-checkpoint-dir", "no-path", TEXTS["no-checkpoint-dir"][0]),
    ("no-speakers-file", "no-model-file", TEXTS["no-speakers-file"][0]),
    ("no-training-files", "no-model-file", TEXTS["no-training-files"][0]),
    ("no-config-file", "no-file", TEXTS["no-config-file"][0]),
    ("folder-of-converter", "no-file", TEXTS["folder-of-converter"][0]),
    ("tokenizer-is-html-or-empty", "json-broken", TEXTS["tokenizer-is-html-or-empty"][0] + "\njson.decoder.JSONDecodeError: Extra data"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "text"), BOTH, ids=[f"{first}-before-{second}" for first, second, _ in BOTH]
)
def test_where_two_rows_fit_the_more_telling_speaks(first, second, text):
    names = [match.symptom.name for match in symptoms.find_all(clean(text), symptoms.KINDS)]
    assert names[0] == first
    assert second in names


def test_white_space_case_and_slashes_do_not_count():
    text = "importerror: CANNOT import\n   name 'Logits\nWarper' from 'trans\nformers'"
    match = symptoms.find(text)
    assert match.symptom.name == "removed-from-transformers"
    assert "LogitsWarper" in match.means


def test_an_object_of_coquis_own_is_told_from_code():
    """The config in a file is no attack; a name that runs something is."""
    assert "nothing in it is hostile" in explain(TEXTS["config-object"][0]).causes[0].message
    assert "posix.system" in explain(TEXTS["code-in-pickle"][0]).causes[0].message
    assert explain(TEXTS["code-in-pickle"][0]).causes[0].code == "unsafe-pickle"


def test_memory_that_ran_out_gets_the_advice_of_its_moment():
    hint = {name: explain(TEXTS[name][0]).causes[0].hint for name in TEXTS if name.startswith("out-of-memory")}
    assert len(set(hint.values())) == 3
    assert "Convert it" in hint["out-of-memory-loading"]
    assert "batch_size" in hint["out-of-memory-training"]


@pytest.mark.parametrize(
    ("path", "profile"),
    [("C:\\apps\\alltalk_tts\\system\\load.py", "alltalk"), ("/opt/ebook2audiobook/lib/functions.py", "ebook2audiobook"), ("/srv/xtts-webui/app.py", "finetune-webui")],
)  # fmt: skip
def test_a_frame_tells_whose_rule_was_broken_and_which_profile_keeps_it(path, profile):
    text = (
        frames(
            f"{path}:load",
            error="FileNotFoundError: [Errno 2] No such file or directory: '/m/vocab.json'".replace("/m", ""),
        )
        if ":" not in path
        else f"  File \"{path}\", line 3, in load\nFileNotFoundError: [Errno 2] No such file or directory: 'vocab.json'"
    )
    (cause,) = explain(text).causes
    assert cause.code == "no-vocab"
    assert f"--profile {profile}" in cause.hint


def test_every_program_has_a_profile_that_exists():
    from verify import resources

    assert {row["profile"] for row in resources.load("symptoms/programs")["program"]} <= set(
        resources.names("profiles")
    )


# --- what no row knows ----------------------------------------------------------------------------------------------

UNKNOWN = {
    "while a checkpoint was read": LOADS.format("ZeroDivisionError: division by zero"),
    "the weights were loaded before": frames(f"{XTTS}:inference", "/venv/TTS/vocoder/x.py:forward", error="FloatingPointError: strange"),
    "packages were imported": frames("/app/a.py:<module>", error="SyntaxError: invalid syntax"),
    "nothing in it says": "chrome.exe: error: the socket is closed",
}  # fmt: skip


@pytest.mark.parametrize("moment", UNKNOWN)
def test_an_error_that_nobody_knows_is_named_with_its_moment_and_where_to_go_on(moment, tmp_path, capsys):
    (cause,) = explain(UNKNOWN[moment]).causes
    assert cause.code == "unknown-error"
    assert moment in cause.message
    assert re.search(r"verify DIR|env\b", cause.hint)
    (tmp_path / "error.txt").write_text(UNKNOWN[moment])
    assert run_cli(capsys, "explain", tmp_path / "error.txt")[0] == 1


def test_the_last_error_is_told_with_its_file():
    text = (
        frames("/app/first.py:a", error="KeyError: 'one thing'")
        + "\n\nDuring handling of the above exception, another exception occurred:\n\n"
        + frames("/app/deep/second.py:b", error="BufferError: the other")
    )
    (cause,) = explain(text).causes
    assert "BufferError: the other (/app/deep/second.py, line 7, in b)" in cause.message
    (cause,) = explain(frames(f"/home/{'long' * 20}/TTS/api.py:a", error="BufferError: no")).causes
    assert f"(…/{'long' * 20}/TTS/api.py, line 7, in a)" in cause.message


@pytest.mark.parametrize(
    "text",
    ["my voice sounds odd, what now?", "It trained for 3 hours.\nLoss: 2.1", "TerminalError is my band's name, nice"],
)
def test_a_text_without_an_error_is_refused(text):
    with pytest.raises(ConversionError, match="no error can be read"):
        explain(text)


def test_a_harmless_warning_alone_says_that_the_error_is_not_in_the_text():
    explanation = explain(TEXTS["future-warning-weights-only"][0])
    assert [cause.code for cause in explanation.causes] == ["cut-off", "harmless-warning"]
    assert [cause.severity for cause in explanation.causes] == ["warning", "note"]


def test_a_harmless_warning_beside_an_error_is_named_beside_it():
    explanation = explain(TEXTS["future-warning-weights-only"][0] + "\nKeyError: 'uk'")
    assert [cause.code for cause in explanation.causes] == ["bad-language", "harmless-warning"]


def test_the_names_of_a_load_error_are_the_surer_witness():
    """A text with names is explained by them, whatever else was printed around."""
    text = "OSError: [Errno 28] No space left on device\nsize mismatch for gpt.text_embedding.weight: copying a param with shape torch.Size([6681, 1024]) from checkpoint, the shape in current model is torch.Size([6153, 1024])."
    assert [cause.code for cause in explain(text).causes] == ["vocab-rows"]


def test_no_control_character_of_the_text_is_printed(tmp_path, capsys):
    (tmp_path / "error.txt").write_bytes(b"RuntimeError: \x1b[31mboom\x1b]0;title\x07 \x9b31m\x08\xe2\x80\xaeend\n")
    _, out, err = run_cli(capsys, "explain", tmp_path / "error.txt")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out + err)
    assert "boom" in err
