"""Models side by side: what is the same is one in memory and sounds the same, what moved is named, what is broken stops nobody."""

import base64
import dataclasses
import hashlib
import io
import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from tests.support.helpers import run_cli, save_tiny, with_a_text_row_more
from verify import count_votes
from verify.checkpoint import reader
from verify.checkpoint.equality import same_bytes
from verify.commands.own_vocabulary import plan_one_of
from verify.conversion import diff
from verify.conversion.diff import Held
from verify.errors import ArchiveError
from verify.options import Job
from verify.plan import plan
from verify.report.several import compare_page, listen_page

SAY = ("--text", "yes.", "--expect", "sound")
MOVED = "xtts.gpt.gpt.h.1.mlp.c_fc.weight"
QUIET = lambda _: None  # noqa: E731


@pytest.fixture(scope="module")
def comparison(genuine_run, converted, model_parts, tmp_path_factory):
    """(exit status, document, folder) of the genuine run, its converted folder, one with a layer changed, one broken."""
    import torch

    from verify.commands import compare

    root = tmp_path_factory.mktemp("comparison")
    state, config, vocab = model_parts
    run = root / "moved"
    run.mkdir()
    state = {f"xtts.{key}": value for key, value in state.items()}
    state[MOVED] = state[MOVED] * 1.01
    torch.save(
        {"model": state, "config": config, "step": 9, "model_loss": {"train_loss": 2.0}}, run / "checkpoint_9.pth"
    )
    shutil.copyfile(vocab, run / "vocab.json")
    (root / "broken.pth").write_bytes(b"PK\x03\x04 and nothing else")
    job = Job(source=genuine_run, output=root / "out", texts=("yes.",), expect="sound")
    sources = [genuine_run, converted[0], run, root / "broken.pth"]
    report = compare.compare(job, sources)
    return report, json.loads((root / "out" / "compare.json").read_text()), root / "out"


def test_identical_models_have_no_difference_and_say_the_same_bit_for_bit(comparison):
    _, document, folder = comparison
    same = document["differences"][0]
    assert (same["model"], same["against"], same["identical"]) == ("B", "A", True)
    assert {(part["changed_bytes"], part["largest"], part["relative_change"]) for part in same["parts"]} == {(0, 0, 0)}
    assert same["layers"] == same["only_in_model"] == same["only_in_against"] == same["other_shapes"] == []
    assert (folder / "A-01.wav").read_bytes() == (folder / "B-01.wav").read_bytes()
    assert (folder / "A-01.wav").read_bytes() != (folder / "C-01.wav").read_bytes()


def test_a_layer_that_moved_is_named_with_how_far(comparison):
    _, document, _ = comparison
    moved = document["differences"][1]
    assert (moved["model"], moved["against"], moved["identical"]) == ("C", "A", False)
    gpt = next(part for part in moved["parts"] if part["part"] == "GPT")
    assert gpt["tensors"] - gpt["identical"] == 1
    assert gpt["largest_key"] == MOVED.removeprefix("xtts.")
    assert gpt["largest"] == pytest.approx(0.01, rel=1e-4)
    assert 0 < gpt["relative_change"] < 0.01
    assert 0 < gpt["changed_share"] < 1
    (layer,) = moved["layers"]
    assert layer["layer"] == 1
    assert 0 < layer["relative_change"] < 0.01
    assert all(part["identical"] == part["tensors"] for part in moved["parts"] if part["part"] != "GPT")


def test_a_broken_model_stops_none_of_the_others(comparison):
    report, document, _ = comparison
    assert report.exit_code == 1
    assert [model["verdict"] in ("pass", "warn") for model in document["models"]] == [True, True, True, False]
    broken = document["models"][3]
    assert (broken["name"], broken["verdict"], broken["samples"]) == ("D", "error", None)
    assert broken["causes"][0]["severity"] == "error"


def test_the_document_tells_each_model_and_what_was_said_to_all(comparison):
    _, document, folder = comparison
    assert (document["schema"], document["verdict"], document["causes"]) == (1, "fail", [])
    assert (document["texts"], document["seeds"], document["language"]) == (["yes."], [0], "en")
    first, moved = document["models"][0], document["models"][2]
    assert first["layout"] == "trainer"
    assert isinstance(first["loss"], dict)
    assert (moved["step"], moved["epoch"], moved["loss"]) == (9, None, {"train_loss": 2.0})
    assert {model["samples"][0]["reference"] for model in document["models"][:3]} == {document["reference"]}
    for model in document["models"][:3]:
        (sample,) = model["samples"]
        assert soundfile.info(folder / sample["path"]).duration == pytest.approx(sample["seconds"], abs=0.01)
        assert {check["name"] for check in model["checks"]} >= {"finite", "stop token", "DNSMOS overall"}
    names = {file.name for file in folder.iterdir()}
    assert names == {"A-01.wav", "B-01.wav", "C-01.wav", "reference.wav", "compare.json", "compare.html"}


def test_what_is_the_same_is_one_storage_for_both_models(genuine_run, make_run):
    from verify.coqui import model as models

    def change(state):
        state[MOVED] = state[MOVED] + 1

    first, other = (plan(Job(source=source)) for source in (genuine_run, make_run(change)))
    data, _ = reader.read_tensors(first.ledger.written, QUIET)
    held = Held(tensors=first.ledger.written, data=data)
    beside, _, found = diff.read_beside(other.ledger.written, held, QUIET)
    here = models.from_bytes(data, first.ledger.written)
    there = models.from_bytes(beside, other.ledger.written)
    apart = [key for key in there if there[key].data_ptr() != here[key].data_ptr()]
    assert apart == [MOVED.removeprefix("xtts.")]
    assert found.shared_bytes == other.ledger.written_bytes - there[apart[0]].nbytes


# --- the page -------------------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """Every element of a page: its name and attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_has_a_player_for_each_clip_and_names_nothing_outside_itself(comparison):
    _, document, folder = comparison
    text = (folder / "compare.html").read_text(encoding="utf-8")
    page = Elements(text)
    players = page.all("audio")
    assert [player["aria-label"] for player in players] == ["the reference voice", "A", "B", "C"]
    assert all("controls" in player and player["src"].startswith("data:audio/flac;base64,") for player in players)
    for _, attributes in page.found:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert not page.all("link") + page.all("iframe") + page.all("img")
    assert "url(" not in text
    assert "@import" not in text
    assert all(
        "style" not in attributes and not any(name.startswith("on") for name in attributes)
        for _, attributes in page.found
    )
    assert len(page.all("table")) == len(page.all("caption")) > 2
    assert all("scope" in cell for cell in page.all("th"))
    assert document["models"][3]["causes"][0]["message"].split(":")[0] in text


def test_the_policy_of_the_page_allows_its_own_style_and_script_by_their_hashes_alone(comparison):
    text = (comparison[2] / "compare.html").read_text(encoding="utf-8")
    policy = Elements(text).all("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; media-src data:;")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        inside = text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_clips_of_the_page_are_equally_loud_and_the_files_as_spoken(comparison):
    from verify.audio.signal import voice_level

    folder = comparison[2]
    players = Elements((folder / "compare.html").read_text(encoding="utf-8")).all("audio")
    clips = [
        soundfile.read(io.BytesIO(base64.b64decode(player["src"].partition(",")[2])), dtype="float32")
        for player in players
    ]
    levels = [voice_level(*clip) for clip in clips]
    assert max(levels) - min(levels) < 0.2
    assert max(np.abs(samples).max() for samples, _ in clips) < 1
    spoken = voice_level(*soundfile.read(folder / "A-01.wav", dtype="float32"))
    assert abs(spoken - levels[1]) > 3


def test_names_from_outside_are_text_on_the_page(comparison, tmp_path):
    report, _, folder = comparison
    evil = '<img src=x onerror="alert(1)">\x1b[2J\u202e'
    models = (dataclasses.replace(report.models[0], path=evil), *report.models[1:])
    text = compare_page.render(dataclasses.replace(report, models=models, reference=evil), folder)
    assert Elements(text).all("img") == []
    assert not any(char in text for char in "\x1b\u202e")
    assert "&lt;img src=x" in text


def test_a_page_without_room_names_the_file_instead(comparison, monkeypatch):
    report, _, folder = comparison
    monkeypatch.setattr(listen_page, "MOST_SECONDS", 0.0)
    text = compare_page.render(report, folder)
    assert len(Elements(text).all("audio")) == 1
    assert "listen to C-01.wav" in text


def test_blind_in_a_real_browser_the_names_are_gone_until_one_is_chosen(comparison, chromium):
    address = (comparison[2] / "compare.html").as_uri()
    paths = [model["path"] for model in comparison[1]["models"][:3]]
    page = chromium.new_page(viewport={"width": 360, "height": 800})
    said, asked, orders = [], [], set()
    bottom = "Math.max(...[...document.querySelectorAll('audio')].slice(0, 2).map(one => one.getBoundingClientRect().bottom))"
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for width, height in ((1366, 768), (390, 844)):  # the voice and the first model on the first screen
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(bottom) < height
    page.set_viewport_size({"width": 360, "height": 800})
    take = page.locator(".take")
    for _ in range(8):
        page.reload()
        page.click("#start")
        orders.add("".join(page.evaluate("[...document.querySelectorAll('.voice')].map(one => one.dataset.letter)")))
        assert take.locator(".shown").all_inner_texts() == ["Voice 1", "Voice 2", "Voice 3"]
        assert take.locator(".best").all_inner_texts() == [f"Voice {number} is best" for number in (1, 2, 3)]
        assert take.locator(".named:visible").count() == 0
        assert "model" not in take.inner_text()
    assert len(orders) > 1
    chosen = page.evaluate("document.querySelectorAll('.voice')[1].dataset.letter")
    take.locator(".best").nth(1).press("Enter")
    assert page.inner_text("#tally") == f"Your choices: {chosen} 1; 1 of 1 takes."
    assert take.locator(".chosen").inner_text() == f"You chose {chosen}."
    assert sorted(take.locator(".shown").all_inner_texts()) == ["A", "B", "C"]
    page.fill("#listener", "Ann / Lee")
    with page.expect_download() as saved:
        page.click("#keep")
    assert saved.value.suggested_filename == "votes-Ann-Lee.json"
    votes = count_votes(saved.value.path())
    assert (votes.models, votes.listeners, votes.takes) == (dict(zip("ABC", paths, strict=True)), 1, 1)
    assert [(vote.listener, vote.text, vote.seed, vote.chosen) for vote in votes.votes] == [
        ("Ann / Lee", "yes.", 0, chosen)
    ]
    page.click("#start")
    assert page.locator("#save").is_hidden()
    page.click("#reveal")
    assert sorted(take.locator(".shown").all_inner_texts()) == ["A", "B", "C"]
    assert page.inner_text("#tally") == "Your choices: none; 0 of 1 takes."
    played = page.evaluate(
        "(async () => { const one = document.querySelectorAll('audio')[2]; one.muted = true; await one.play();"
        " await new Promise(done => setTimeout(done, 300)); return [one.currentTime > 0, one.error, one.duration > 0.3]; })()"
    )
    assert played == [True, None, True]
    assert said == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}
    page.close()


def test_without_scripts_the_page_is_a_plain_one_with_names(comparison, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((comparison[2] / "compare.html").as_uri())
    assert page.locator("button:visible").count() == 0
    assert page.locator(".shown").all_inner_texts() == ["A", "B", "C"]
    context.close()


# --- differences, of tensors of known content ----------------------------------------------------------------------


def read_two(tmp_path, before, after):
    """Return the data and the difference of two state dicts, read one beside the other."""
    ledgers = []
    for name, state in (("before.pth", before), ("after.pth", after)):
        from verify.checkpoint.archive import read_archive
        from verify.conversion.ledger import build_ledger

        archive = read_archive(save_tiny(tmp_path / name, {f"xtts.{key}": value for key, value in state.items()}))
        ledgers.append(build_ledger(archive.tensors, same_bytes).written)
    data, _ = reader.read_tensors(ledgers[0], QUIET)
    return diff.read_beside(ledgers[1], Held(tensors=ledgers[0], data=data), QUIET)


def test_a_change_is_the_norm_of_the_difference_over_the_norm_before(tmp_path):
    import torch

    torch.manual_seed(3)
    before = {"gpt.text_head.weight": torch.randn(700, 1000), "gpt.text_head.bias": torch.zeros(4)}
    before["gpt.gpt.h.0.ln_1.weight"] = torch.ones(4)
    after = {key: value.clone() for key, value in before.items()}
    after["gpt.text_head.weight"][-1] += 0.5  # in the last of three chunks
    after["gpt.gpt.h.0.ln_1.weight"][1] = 3
    data, _, found = read_two(tmp_path, before, after)
    (part,) = found.parts
    whole, other = (torch.cat([value.flatten().double() for value in of.values()]) for of in (before, after))
    assert (part.tensors, part.identical, part.changed_bytes) == (3, 1, 4 * 1001)
    assert (part.largest_key, part.largest) == ("gpt.gpt.h.0.ln_1.weight", 1.0)
    assert [(layer.layer, layer.relative_change) for layer in found.layers] == [(0, 1.0)]
    assert part.relative_change == pytest.approx(float((other - whole).norm() / whole.norm()), rel=1e-12)
    assert data["gpt.text_head.weight"].tobytes() == after["gpt.text_head.weight"].numpy().tobytes()


def test_half_precision_is_compared_by_value(tmp_path):
    import torch

    before = {"gpt.text_head.weight": torch.tensor([1.0, 2.0]), "mel_stats": torch.tensor([1.0, 1.0001])}
    for dtype in (torch.float16, torch.bfloat16):
        after = {key: value.to(dtype) for key, value in before.items()}
        data, _, found = read_two(tmp_path, before, after)
        exact, rounded = sorted(found.parts, key=lambda part: part.part)
        assert (exact.identical, exact.changed_bytes, exact.relative_change) == (0, 0, 0)
        assert rounded.changed_bytes == 2
        assert 0 < rounded.relative_change < 0.001
        assert found.shared_bytes == 0
        assert len(data["mel_stats"]) == 4


def test_names_and_shapes_that_only_one_model_has_are_told(tmp_path):
    import torch

    before = {"gpt.text_head.bias": torch.ones(4), "mel_stats": torch.ones(80), "gpt.text_head.weight": torch.ones(2)}
    after = {"gpt.text_head.bias": torch.ones(5), "mel_stats": torch.ones(80), "gpt.mel_head.bias": torch.ones(3)}
    _, _, found = read_two(tmp_path, before, after)
    assert found.only_here == ("gpt.mel_head.bias",)
    assert found.only_there == ("gpt.text_head.weight",)
    assert [(shape.key, shape.here, shape.there) for shape in found.other_shapes] == [
        ("gpt.text_head.bias", (5,), (4,))
    ]
    assert not found.identical


def test_nan_and_what_was_zero_give_no_figure_and_no_error(tmp_path):
    import torch

    before = {"gpt.text_head.bias": torch.zeros(4), "mel_stats": torch.ones(80)}
    after = {"gpt.text_head.bias": torch.ones(4), "mel_stats": torch.full((80,), float("nan"))}
    _, scan, found = read_two(tmp_path, before, after)
    assert [(part.relative_change, part.largest) for part in found.parts] == [(None, None), (None, None)]
    assert scan.non_finite == ("xtts.mel_stats",)
    _, _, same = read_two(tmp_path, after, after)
    assert same.identical


def test_a_damaged_model_is_refused_though_it_is_compared(tmp_path):
    import torch

    state = {"mel_stats": torch.rand(80)}
    read_two(tmp_path, state, state)
    path = tmp_path / "after.pth"
    data = bytearray(path.read_bytes())
    at = data.index(state["mel_stats"].numpy().tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    from verify.checkpoint.archive import read_archive
    from verify.conversion.ledger import build_ledger

    good, bad = (
        build_ledger(read_archive(tmp_path / name).tensors, same_bytes).written for name in ("before.pth", "after.pth")
    )
    held = Held(tensors=good, data=reader.read_tensors(good, QUIET)[0])
    with pytest.raises(ArchiveError, match="CRC-32"):
        diff.read_beside(bad, held, QUIET)


# --- the command ----------------------------------------------------------------------------------------------------


def test_two_models_of_which_one_cannot_be_read_are_no_comparison(make_run, tmp_path, capsys):
    (tmp_path / "broken.pth").write_bytes(b"")
    code, out, err = run_cli(capsys, "compare", make_run(), tmp_path / "broken.pth", "-o", tmp_path / "out", "--json")
    document = json.loads(out)
    assert (code, document["verdict"]) == (2, "error")
    assert document["causes"][0]["code"] == "nothing-to-compare"
    assert "1 of 2 models could be read" in err
    assert not (tmp_path / "out").exists()


def test_one_that_does_not_load_is_compared_and_fails(make_run, genuine_run, capsys):
    def lose(state):
        del state[MOVED]

    code, out, err = run_cli(capsys, "compare", genuine_run, make_run(lose), "--no-sample", "--json")
    document = json.loads(out)
    assert (code, document["verdict"]) == (1, "fail"), err
    assert [model["load"]["strict"] for model in document["models"]] == [True, False]
    assert document["differences"][0]["only_in_against"] == [MOVED.removeprefix("xtts.")]
    assert "only in A: 1 tensor: gpt.gpt.h.1.mlp.c_fc.weight" in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--text", " . "), "holds nothing to say"),
        (("--speaker-wav", "none.wav"), "none.wav is not there"),
        (("-o", "."), "the output"),
    ],
)
def test_what_no_model_could_do_is_refused_once(make_run, tmp_path, capsys, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    run = make_run()
    code, out, err = run_cli(capsys, "compare", run, run, *options)
    assert (code, out) == (2, "")
    assert err.count(says) == 1


@pytest.mark.parametrize("count", [1, 27])
def test_a_comparison_is_of_two_models_to_twenty_six(capsys, count):
    code, out, err = run_cli(capsys, "compare", *["a.pth"] * count)
    assert (code, out) == (2, "")
    assert f"not {count}" in err


def test_what_lies_beside_a_model_wins_where_the_vocabulary_of_all_does_not_fit_it(make_run, model_parts, tmp_path):
    """One `--vocab` for all: a model with an extended vocabulary of its own keeps it, and the others are none the worse."""
    run = make_run(with_a_text_row_more)
    tokenizer = json.loads(model_parts[2].read_text())
    of_all = tmp_path / "vocab.json"
    of_all.write_text(json.dumps(tokenizer))
    vocab = tokenizer["model"]["vocab"]
    vocab["<new>"] = max(vocab.values()) + 1
    (run / "vocab.json").write_text(json.dumps(tokenizer))
    planned = plan_one_of(Job(source=run, vocab=of_all))
    assert (planned.vocabulary.size, [cause.code for cause in planned.causes]) == (len(vocab), ["vocab-own"])
    (run / "vocab.json").unlink()
    (wrong,) = plan_one_of(Job(source=run, vocab=of_all)).causes
    assert (wrong.code, wrong.hint.startswith("Put its own vocab.json beside it")) == ("vocab-rows", True)


def test_a_step_means_checkpoints_of_runs_and_the_only_model_of_a_folder(make_run, converted, tmp_path, capsys):
    run = make_run(name="checkpoint_7.pth")
    code, out, err = run_cli(capsys, "compare", run, converted[0], "--checkpoint", "7", "--no-sample", "--json")
    document = json.loads(out)
    assert code == 0, err
    assert [model["checkpoint"].rpartition("/")[2] for model in document["models"]] == ["checkpoint_7.pth", "model.pth"]
    assert "the same model, all" in err
