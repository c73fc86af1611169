"""The sweep: every checkpoint is heard once, the ranks are as stated, a killed one goes on, and a cluster gives the same samples."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
import soundfile

from tests.support.helpers import ROOT, fingerprint, run_cli
from verify import Job, resources
from verify.audio.prompts import Script
from verify.cli import main as cli
from verify.cli import parser
from verify.errors import OutputError
from verify.progress import Silent
from verify.report.several import curve, sweep_page, sweep_words
from verify.resources import load
from verify.results.paired import UNTOLD
from verify.results.sweep import SweepReport
from verify.results.swept import SweptCheckpoint
from verify.sweeping import candidates, ranking, store, workers
from verify.sweeping.run_task import run_task
from verify.sweeping.sweep import Workers, sweep
from verify.sweeping.sweep import _settings as sweep_settings
from verify.sweeping.task import Outcome, Task

SAID = {"texts": ("yes.",), "device": "cpu", "expect": "sound"}
SAY = ("--text", "yes.", "--expect", "sound", "--device", "cpu")
MOVED = "xtts.gpt.gpt.h.1.mlp.c_fc.weight"


def job_of(run, **changes):
    return Job(**{"source": run, **SAID, **changes})


def samples_of(folder):
    """Return the clips of a sweep by the name of their folder."""
    return {file.parent.name: file.read_bytes() for file in sorted((folder / store.RESULTS).glob("*/sample*.wav"))}


@pytest.fixture(scope="module")
def run(model_parts, tmp_path_factory):
    """A run folder with three models, two copies, one that is cut short and one with NaN."""
    import torch

    state, config, vocab = model_parts
    folder = tmp_path_factory.mktemp("sweep") / "XTTS_FT"
    folder.mkdir()
    shutil.copyfile(vocab, folder / "vocab.json")

    def save(name, scale, step, **loss):
        changed = {f"xtts.{key}": value for key, value in state.items()}
        changed[MOVED] = changed[MOVED] * scale
        content = {"model": changed, "config": config, "step": step, "epoch": 0, "date": "today", "model_loss": loss}
        torch.save(content, folder / name)

    save("checkpoint_4.pth", 1.0, 4, train_loss=3.0, eval_loss=None)
    save("checkpoint_8.pth", 1.5, 8, train_loss=1.0, eval_loss=None)
    save("checkpoint_12.pth", -2.0, 12, train_loss=2.0, eval_loss=None)
    save("best_model_12.pth", -2.0, 12, train_loss=2.0, eval_loss=9.0)
    save("checkpoint_16.pth", float("nan"), 16, train_loss=float("nan"), eval_loss=None)
    shutil.copyfile(folder / "best_model_12.pth", folder / "best_model.pth")
    (folder / "checkpoint_20.pth").write_bytes((folder / "checkpoint_8.pth").read_bytes()[:1_000_000])
    return folder


@pytest.fixture(scope="module")
def swept(run):
    """(report, document, folder, what the run folder held before) of a sweep by one worker."""
    before = fingerprint(run)
    report = sweep(job_of(run), [run], Workers(jobs=1))
    return report, json.loads((run / "sweep" / "sweep.json").read_text()), run / "sweep", before


def test_every_checkpoint_is_heard_once_and_one_that_fails_stops_none(swept):
    report, document, folder, before = swept
    by_name = {checkpoint["name"]: checkpoint for checkpoint in document["checkpoints"]}
    assert {name for name, checkpoint in by_name.items() if checkpoint["samples"]} == {
        "checkpoint_4.pth",
        "checkpoint_8.pth",
        "best_model_12.pth",
    }
    assert by_name["checkpoint_12.pth"]["copy_of"] == by_name["best_model.pth"]["copy_of"] == "best_model_12.pth"
    assert [cause["code"] for cause in by_name["checkpoint_16.pth"]["causes"]] == ["non-finite"]
    assert [cause["code"] for cause in by_name["checkpoint_20.pth"]["causes"]] == ["truncated"]
    assert (document["schema"], document["verdict"], report.exit_code) == (1, "fail", 1)
    assert len(set(samples_of(folder).values())) == 3
    assert document["copies"] == 2
    assert sweep_words.headline(report) == "None speaks yet"
    counted = "0 of 5 checkpoints speak, 3 make noise, 2 could not be heard, 2 more are copies"
    assert sweep_words.tally(report) == counted
    for checkpoint in by_name.values():  # a command that makes a model folder of it, for each that could be planned
        words = shlex.split(checkpoint["command"] or "")[2:]
        assert words[:1] == (
            [checkpoint["path"]]
            if checkpoint["name"] not in ("best_model.pth", "checkpoint_12.pth", "checkpoint_20.pth")
            else []
        )
        if words:
            assert cli._job(parser.parse(words)).expect == "sound"
    assert {paired["answer"] for paired in document["paired"]} == {UNTOLD}
    for checkpoint in by_name.values():
        for sample in checkpoint["samples"] or ():
            assert (folder / sample["path"]).is_file()
        if checkpoint["samples"]:
            assert (checkpoint["environment"]["threads"], checkpoint["environment"]["device"]) == (1, "cpu")
    assert {name: file for name, file in fingerprint(folder.parent).items() if "/sweep/" not in name} == before
    assert {entry.name for entry in folder.iterdir()} == {"sweep.json", "sweep.html", "reference.wav", "results"}


def test_a_sweep_goes_on_where_it_was(swept, run, tmp_path):
    _, document, folder, _ = swept
    shutil.copytree(folder, tmp_path / "sweep")
    before = {name: file for name, file in fingerprint(tmp_path).items() if name.endswith(".wav")}
    again = sweep(job_of(run, output=tmp_path / "sweep"), [run], Workers(jobs=1))
    assert [checkpoint.resumed for checkpoint in again.checkpoints if checkpoint.samples] == [True] * 3
    assert {name: file for name, file in fingerprint(tmp_path).items() if name.endswith(".wav")} == before
    assert [checkpoint.figures for checkpoint in again.checkpoints] == [
        checkpoint["figures"] for checkpoint in document["checkpoints"]
    ]


def test_what_is_changed_or_gone_is_done_again(swept, run, tmp_path):
    _, _, folder, _ = swept
    kept = store.Store(folder=tmp_path / "sweep")
    shutil.copytree(folder, kept.folder)
    shutil.rmtree(next((kept.folder / "results").glob("checkpoint_4.pth-*")))
    next((kept.folder / "results").glob("best_model_12.pth-*/sample.wav")).unlink()

    def known():
        found = candidates.prepare(job_of(run), candidates.find([run]), Silent())
        return {checkpoint.name for checkpoint in found if checkpoint.identity and kept.result_of(checkpoint.identity)}

    assert known() == {"checkpoint_8.pth", "checkpoint_16.pth"}
    stamp = (run / "checkpoint_8.pth").stat()
    os.utime(run / "checkpoint_8.pth", ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 10**9))
    assert known() == {"checkpoint_16.pth"}
    os.utime(run / "checkpoint_8.pth", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    shutil.copyfile(run / "vocab.json", tmp_path / "vocab.json")
    (run / "vocab.json").write_text((run / "vocab.json").read_text() + "\n")
    assert known() == set()
    shutil.copyfile(tmp_path / "vocab.json", run / "vocab.json")


def test_a_result_that_is_not_whole_is_none(swept, run, tmp_path):
    kept = store.Store(folder=tmp_path)
    identity = {"name": "a/b: c.pth", "bytes": 1}
    (tmp_path / "results").mkdir()
    found = {"samples": [{"path": "sample.wav"}]}
    kept.add(identity, Outcome(found=found, files={"sample.wav": b"RIFF", "reference.wav": b"voice"}))
    assert kept.result_of(identity) == found
    assert kept.result_of({**identity, "bytes": 2}) is None
    assert (tmp_path / "reference.wav").read_bytes() == b"voice"
    assert "/" not in store.folder_name(identity)
    place = tmp_path / "results" / store.folder_name(identity)
    kept.add(identity, Outcome(found={"samples": None}))
    assert {file.name for file in place.iterdir()} == {"result.json"}
    (place / "result.json").write_text("{")
    assert kept.result_of(identity) is None


def test_another_sweep_and_files_of_others_are_never_replaced_unasked(swept, run, tmp_path, capsys):
    _, _, folder, _ = swept
    before = fingerprint(folder)
    arguments = ("sweep", run, "--device", "cpu", "--expect", "sound")
    code, _, err = run_cli(capsys, *arguments, "--text", "no.")
    assert (code, "other-sweep" in err, 'texts ["yes."] there, ["no."] here' in err) == (2, True, True)
    (folder / "mine.txt").write_text("mine")
    code, _, err = run_cli(capsys, *arguments, "--text", "no.", "--force")
    (folder / "mine.txt").unlink()
    assert (code, "output-has-other-files" in err) == (2, True)
    assert fingerprint(folder) == before
    foreign = tmp_path / "exp" / "results"
    foreign.mkdir(parents=True)
    (foreign / "settings.json").write_text('{"mine": 1}')
    code, _, err = run_cli(capsys, *arguments, "--force", "-o", foreign.parent)
    assert (code, "output-has-other-files" in err, (foreign / "settings.json").exists()) == (2, True, True)
    with pytest.raises(OutputError) as caught:
        sweep(job_of(run, output=run), [run], Workers(jobs=1))
    assert caught.value.cause.code == "output-is-input"


# --- ranks --------------------------------------------------------------------------------------------------------


def swept_checkpoint(name, *, failed=0, ovrl=3.0, p808=3.5, share=0.8, alike=0.7, loss=None, step=1, run="run"):
    checks = [
        {"name": "DNSMOS overall", "ok": True, "measured": ovrl},
        {"name": "DNSMOS P.808", "ok": True, "measured": p808},
        {"name": "speech share", "ok": True, "measured": share},
    ]
    sample = {"path": "sample.wav", "text": "yes.", "language": "en", "seed": 0, "speaker_similarity": alike, "seconds": 1.0, "tokens": 20, "stopped": True, "checks": checks}  # fmt: skip
    overall = [*checks, *({"name": f"wrong {n}", "ok": False, "measured": 1.0} for n in range(failed))]
    found = {"samples": [sample], "checks": overall, "step": step, "loss": loss, "causes": [], "verdict": "pass"}
    return SweptCheckpoint(name=name, run=run, path=f"/{name}", found=found, folder="results/x")


def rank(checkpoints):
    """Return the checkpoints by what configs/ranking.toml says."""
    return ranking.ranked(checkpoints, ranking.read_criteria(checkpoints))


def order(*checkpoints):
    return [checkpoint.name for checkpoint in rank(checkpoints) if checkpoint.rank]


def test_what_ranks_first_decides_and_less_than_a_step_does_not():
    good = swept_checkpoint("good", ovrl=2.6, loss=9.0)
    assert order(swept_checkpoint("failed", failed=1, ovrl=4.0), good) == ["good", "failed"]
    assert order(good, swept_checkpoint("better", ovrl=2.8)) == ["better", "good"]
    assert order(swept_checkpoint("a", ovrl=3.01, loss=2.0), swept_checkpoint("b", ovrl=2.99, loss=1.0)) == ["b", "a"]
    assert order(swept_checkpoint("a", p808=3.1), swept_checkpoint("b", p808=3.5, share=0.1)) == ["b", "a"]
    assert order(swept_checkpoint("far", alike=0.5, loss=1.0), swept_checkpoint("near", alike=0.8, loss=2.0)) == [
        "near",
        "far",
    ]
    assert order(swept_checkpoint("none", ovrl=None), swept_checkpoint("some", ovrl=1.0)) == ["some", "none"]
    assert order(swept_checkpoint("early", step=5), swept_checkpoint("late", step=9)) == ["late", "early"]


def test_another_sampling_parts_a_sweep_from_one_without_it():
    """What was spoken before with other sampling must not be taken up again as if it were the same."""

    script = Script(texts=("Hello.",), language="en", clips=(), reference="")
    settings = [sweep_settings(Job(source="run", top_k=count), script, Workers()) for count in (3, 50)]
    assert [found["top_k"] for found in settings] == [3, 50]
    json.dumps(settings)  # it is kept as JSON
    by_script = {"reference", "whisper", "base", "threads", "packages"}
    assert set(sweep_settings(Job(source="run"), script, Workers())) - by_script == {
        "texts", "seeds", "language", "expect", "device", "voice",
        "temperature", "top_k", "top_p", "repetition_penalty", "length_penalty", "speed",
    }  # fmt: skip


def test_the_loss_that_ranks_is_of_one_kind_for_all():
    both = {"train_loss": 3.0, "eval_loss": 1.0}
    mixed = rank([swept_checkpoint("a", loss=both), swept_checkpoint("b", loss={"train_loss": 2.0, "eval_loss": None})])
    assert [(checkpoint.name, checkpoint.figures["train loss"]) for checkpoint in mixed] == [("b", 2.0), ("a", 3.0)]
    alike = rank([swept_checkpoint("a", loss=both), swept_checkpoint("b", loss={**both, "eval_loss": 0.5})])
    assert [(checkpoint.name, checkpoint.figures["eval loss"]) for checkpoint in alike] == [("b", 0.5), ("a", 1.0)]
    assert ranking.losses("nan") == ranking.losses(float("nan")) == ranking.losses(None) == {}


def test_the_ranks_of_a_real_sweep_are_those_of_its_figures(swept):
    _, document, _, _ = swept
    ranked = [checkpoint for checkpoint in document["checkpoints"] if checkpoint["rank"]]
    assert [checkpoint["rank"] for checkpoint in ranked] == [1, 2, 3]
    assert [figure["name"] for figure in document["ranking"]][-1] == "train loss"
    keys = [
        [
            np.inf
            if value is None
            else round((value if figure["better"] == "lower" else -value) / (figure["step"] or 1e-9))
            for figure in document["ranking"]
            for value in [checkpoint["figures"][figure["name"]]]
        ]
        for checkpoint in ranked
    ]
    assert keys == sorted(keys)


def test_the_page_stands_whatever_the_ranking_asks_for(monkeypatch, tmp_path):
    fewer = [{"name": "speaker similarity", "better": "higher", "step": 0.02}]
    monkeypatch.setattr(resources, "load", lambda name: {"figures": fewer} if name == "ranking" else load(name))
    soundfile.write(tmp_path / "reference.wav", np.zeros(2400), 24000)
    (tmp_path / "results" / "x").mkdir(parents=True)
    soundfile.write(tmp_path / "results" / "x" / "sample.wav", np.zeros(2400), 24000)
    report = SweepReport(
        checkpoints=rank([swept_checkpoint("a", loss=2.0)]),
        ranking=ranking.read_criteria([]),
        settings={"texts": ["Hello."]},
    )
    text = sweep_page.render(report, tmp_path)
    assert "rank 1, step 1, speaker similarity 0.7" in text
    assert "<h1>None speaks yet</h1>" in text


# --- the page -----------------------------------------------------------------------------------------------------


def test_the_page_plays_draws_and_tells_all_and_needs_nothing_but_itself(swept, chromium):
    _, document, folder, _ = swept
    text = (folder / "sweep.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href|url|srcset)\s*[=(]\s*["']?\s*(?:https?:|//)""", text)
    page, said, asked = chromium.new_page(viewport={"width": 390, "height": 800}), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((folder / "sweep.html").as_uri())
    page.wait_for_function("[...document.querySelectorAll('audio')].every(player => player.duration > 0.2)")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 100 && image.alt)")
    names = page.locator(".voice .shown").all_inner_texts()
    page.click("#start")
    blind = page.locator(".voice .shown").all_inner_texts()
    shown = page.inner_text("body")
    page.close()
    ranked = [checkpoint["name"] for checkpoint in document["checkpoints"] if checkpoint["rank"]]
    assert names == ranked
    assert blind == ["Voice 1", "Voice 2", "Voice 3"]
    assert said == []
    assert all(url.startswith(("file:", "data:")) for url in asked)
    for checkpoint in document["checkpoints"]:
        assert checkpoint["name"] in shown
    assert "is truncated" in shown


def test_the_curve_has_a_line_for_each_run_and_names_from_outside_are_text():
    evil = "$\\frac{<script>alert(1)</script>\u202e_x"
    checkpoints = rank(
        [
            swept_checkpoint(f"{run}{step}", run=run, step=step, ovrl=2 + step / 10)
            for run in (evil, "_other")
            for step in (1, 2, 3)
        ]
    )
    shown = curve.drawable(checkpoints)
    drawing = curve.draw(shown, ranking.read_criteria(checkpoints), "light").decode()
    assert drawing == curve.draw(shown, ranking.read_criteria(checkpoints), "light").decode()
    assert "<script>" not in drawing
    assert "DNSMOS overall (higher is better)" in drawing
    assert "&lt;script&gt;" in drawing
    assert "loss" not in drawing  # no checkpoint has one
    assert curve.drawable([replace(checkpoints[0], found={**checkpoints[0].found, "step": None})]) == []
    assert sweep_page._curve(SweepReport(checkpoints=checkpoints[:1])) is None


# --- workers ------------------------------------------------------------------------------------------------------


def test_the_workers_fit_the_cores_the_memory_and_the_gpus(monkeypatch):
    monkeypatch.setattr(workers, "available_bytes", lambda: 10_000)
    monkeypatch.setattr(workers, "cores", lambda: 8)
    assert workers.job_count(100, 1, 1000, gpus=0) == 8
    assert workers.job_count(100, 3, 1000, gpus=0) == 2
    assert workers.job_count(100, 1, 3000, gpus=0) == 3
    assert workers.job_count(100, 1, 90_000, gpus=0) == 1
    assert workers.job_count(3, 1, 1000, gpus=0) == 3
    assert workers.job_count(100, 1, 1000, gpus=2) == 2
    monkeypatch.undo()
    assert workers.environment_of(2, "1")["CUDA_VISIBLE_DEVICES"] == "1"
    assert workers.environment_of(2, None)["OMP_NUM_THREADS"] == "2"
    assert 0 < workers.available_bytes() <= psutil.virtual_memory().total
    assert workers.gpus_for("cpu") == workers.gpus_for("cuda:1") == ()


def test_what_goes_wrong_in_a_worker_is_told_and_does_not_end_it(run, tmp_path):
    import torch

    gone = shutil.copyfile(run / "checkpoint_4.pth", tmp_path / "gone.pth")
    shutil.copyfile(run / "vocab.json", tmp_path / "vocab.json")
    (checkpoint,) = candidates.prepare(job_of(gone), [gone], Silent())
    gone.unlink()
    threads = torch.get_num_threads()
    try:
        lost = run_task(Task(plan=checkpoint.plan, script=checkpoint.script, threads=1))
        broken = run_task(Task(plan=checkpoint.plan, script=checkpoint.script, threads=-1))
    finally:
        torch.set_num_threads(threads)
    assert (lost.found, lost.cause.code, str(gone) in lost.cause.message) == (None, "system", True)
    assert (broken.found, broken.cause.code) == (None, "internal")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_worker_that_is_killed_costs_its_checkpoint_alone(run, tmp_path, capsys):
    def kill_the_first():
        for _ in range(1200):
            for worker in psutil.Process().children(recursive=True):
                if "spawn_main" in " ".join(worker.cmdline()):
                    worker.send_signal(signal.SIGKILL)
                    return
            time.sleep(0.05)

    thread = threading.Thread(target=kill_the_first)
    thread.start()
    sources = (run / "checkpoint_4.pth", run / "checkpoint_8.pth")
    code, out, err = run_cli(capsys, "sweep", *sources, *SAY, "--jobs", 1, "-o", tmp_path / "sweep", "--json")
    thread.join()
    first, second = reversed(json.loads(out)["checkpoints"])
    assert (code, first["name"], second["name"]) == (1, "checkpoint_4.pth", "checkpoint_8.pth")
    assert [cause["code"] for cause in first["causes"]] == ["worker-died"]
    assert "was ended by SIGKILL" in err
    assert second["samples"]
    assert [path.name.partition("-")[0] for path in (tmp_path / "sweep" / "results").glob("*.pth-*")] == [
        "checkpoint_8.pth"
    ]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process")
def test_ctrl_c_keeps_what_is_finished_and_leaves_no_process(run, tmp_path):
    command = [sys.executable, str(ROOT / "convert_and_verify.py"), "sweep", str(run), "-o", str(tmp_path / "sweep")]
    command += [*SAY, "--jobs", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        while not list((tmp_path / "sweep" / "results").glob("*/result.json")):
            assert process.poll() is None
            time.sleep(0.05)
        processes = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "the same command goes on from there" in err
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive
    assert not (tmp_path / "sweep" / "sweep.html").exists()
    assert {entry.name for entry in tmp_path.iterdir()} == {"sweep"}


# --- Ray ----------------------------------------------------------------------------------------------------------


def test_a_cluster_that_loses_a_node_says_the_same_bit_for_bit(swept, run, tmp_path, monkeypatch):
    ray_cluster = pytest.importorskip("ray.cluster_utils")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # Ray's 15 would wait until the other tests are done
    nothing_runs_here = {"num_cpus": 0, "include_dashboard": False}
    cluster = ray_cluster.Cluster(initialize_head=True, head_node_args=nothing_runs_here)
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    lost = []

    def lose():
        """Take away the node that has begun with the task, so that the other must do it."""
        for _ in range(1200):
            for node in nodes:
                raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
                if any(child.name().startswith("ray::run_task") for child in raylet.children(recursive=True)):
                    cluster.remove_node(node, allow_graceful=False)
                    lost.append(node)
                    return
            time.sleep(0.05)

    thread = threading.Thread(target=lose)
    try:
        thread.start()
        report = sweep(job_of(run, output=tmp_path / "sweep"), [run / "checkpoint_8.pth"], Workers(ray=cluster.address))
        thread.join()
    finally:
        cluster.shutdown()
    assert lost
    _, document, folder, _ = swept
    here, there = samples_of(folder), samples_of(tmp_path / "sweep")
    assert there == {name: here[name] for name in there}
    assert len(there) == 1
    known = {checkpoint["name"]: checkpoint["figures"] for checkpoint in document["checkpoints"]}
    assert [checkpoint.figures for checkpoint in report.checkpoints] == [
        known[checkpoint.name] for checkpoint in report.checkpoints
    ]
    assert {checkpoint.found["environment"]["threads"] for checkpoint in report.heard} == {1}


def test_no_cluster_at_the_address_is_told_at_once_and_nothing_is_left(run, tmp_path, capsys):
    code, _, err = run_cli(
        capsys, "sweep", run / "checkpoint_4.pth", "--device", "cpu", "--ray", "127.0.0.1:9", "-o", tmp_path / "sweep"
    )
    assert (code, "no-cluster" in err) == (2, True)
    assert list(tmp_path.iterdir()) == []
