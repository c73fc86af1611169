"""What the buttons do: the functions of `verify.api`, with what was typed, chosen and dropped."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verify import api
from verify.audio.clips import write_wav
from verify.options import Job
from verify.result import Result
from verify.results.clips import ClipsReport
from verify.source.find import checkpoints_of
from verify.ui import choices
from verify.ui.roots import Roots, outside
from verify.ui.work import Work, Workshop

# What lies beside a checkpoint and is none.
COMPANIONS = {"speakers_xtts.pth", "dvae.pth", "mel_stats.pth"}
MODEL_SUFFIXES = {".pth", ".pt", ".ckpt", ".bin", ".safetensors"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person typed, chose and dropped for a job, as the fields of the page have it."""

    source: str
    checkpoint: str = "best"
    voice: str | None = None
    text: str = ""
    profile: str = ""
    force: bool = False
    folded: Sequence[Any] = ()

    def options(self, command: str, roots: Roots) -> dict[str, Any]:
        """Return the options as keywords of the library.

        Raises:
            ConversionError: a path is outside of what the page may open.
        """
        texts = tuple(line.strip() for line in self.text.splitlines() if line.strip())
        told: dict[str, Any] = {"checkpoint": self.checkpoint, "texts": texts, "force": self.force}
        if self.voice:
            told["speaker_wavs"] = roots.find(self.voice)
        if self.profile:
            told["profile"] = self.profile
        return told | choices.read(command, self.folded, roots) if self.folded else told


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """The work that the page can begin."""

    roots: Roots
    workshop: Workshop

    def take_in(self, files: Sequence[str]) -> str:
        """Put what was dropped into one folder, and return the path that the page is to show.

        A checkpoint alone is named itself, as it may have any name; beside others, and where none is, the folder is.
        """
        folder = Path(tempfile.mkdtemp(dir=self.roots.dropped))
        for file in map(Path, files):
            os.replace(self.roots.find(str(file)), folder / file.name)
        models = [
            path for path in folder.iterdir() if path.suffix.lower() in MODEL_SUFFIXES and path.name not in COMPANIONS
        ]
        return str(models[0] if len(models) == 1 else folder)

    def inspect(self, asked: Asked) -> Result:
        """Return what is in the source.

        Raises:
            ConversionError: it cannot be used, or is outside of what the page may open.
        """
        return self._looked_at(self._job(asked, "inspect"))

    def checkpoints(self, source: str) -> list[tuple[str, str]]:
        """Return the checkpoints of a run folder as choices: what is shown, and what `checkpoint` takes.

        Raises:
            ConversionError: there is none, or it is outside of what the page may open.
        """
        path = self.roots.find(source)
        steps = [file.stem.rpartition("_")[2] for file in checkpoints_of(path)] if path.is_dir() else []
        return [
            ("the best", "best"),
            ("the last", "last"),
            *((f"step {step}", step) for step in steps if step.isdigit()),
        ]

    def convert(self, asked: Asked) -> Work:
        """Begin the main job."""

        def do(work: Work) -> Result:
            """Convert what was looked at before."""
            job = self._job(asked, "convert")
            report = self._looked_at(job)
            return api.convert(replace(job, follow=report.plan.job.follow), work)

        return self.workshop.begin("convert", do)

    def compare(self, sources: Sequence[str], asked: Asked) -> Work:
        """Begin to let several models say the same; the page that comes of it is in a private folder."""

        def do(work: Work) -> Any:
            """Compare the models, each looked at before."""
            paths = [self.roots.find(source) for source in sources if source.strip()]
            job = self._job(replace(asked, source=sources[0]), "compare")
            reports = [self._looked_at(replace(job, source=path)) for path in paths]
            follow = all(report.plan.job.follow for report in reports)
            output = self.workshop.folder_of(work) / "compare"
            return api.compare(*paths, job=replace(job, follow=follow, output=output), watch=work)

        return self.workshop.begin("compare", do)

    def sweep(self, asked: Asked) -> Work:
        """Begin to hear every checkpoint of a run; results are kept in the run, where a later sweep goes on from."""

        def do(work: Work) -> Any:
            """Sweep the checkpoints, all of which lie where this page may read."""
            job, run = self._job(asked, "sweep"), self.roots.find(asked.source)
            for checkpoint in checkpoints_of(run):
                self.roots.find(str(checkpoint))
            return api.sweep(run, job=replace(job, follow=self._looked_at(job).plan.job.follow), watch=work)

        return self.workshop.begin("sweep", do)

    def say(self, work: Work, text: str, language: str, seed: int, temperature: float | None) -> Work:
        """Begin to say another sentence with the model that came of a piece of work; it stays loaded."""

        def do(said: Work) -> None:
            """Load the model where it is not loaded yet, speak, and judge the sound."""
            found = work.result
            folder = self.workshop.folder_of(work)
            with said.step("loading the model"):
                model, voice = self._loaded(found)
            with said.step("speaking") as progress:
                sampling = {"temperature": temperature} if temperature else {}
                spoken = api.speak(
                    model, voice, text, language or found.sample.language, seed, progress=progress, **sampling
                )
            name = f"said-{len(work.takes) + 1:02}.wav"
            write_wav(folder / name, spoken.samples, spoken.rate_hz)
            with said.step("judging the sound"):
                report = api.judge(folder / name, text=text, language=spoken.language)
            work.takes.append(_take(spoken, name, report, temperature))

        return self.workshop.begin("say", do)

    def _loaded(self, found: Result) -> Any:
        """Return the model of a result with its voice; it stays loaded until other work needs the memory."""
        name = found.output or ""
        if self.workshop.model is None or self.workshop.model[0] != name:
            self.workshop.model = None
            model = api.load_xtts(name, follow=False)
            self.workshop.model = name, (model, api.condition(model, Path(name) / "reference.wav"))
        return self.workshop.model[1]

    def _job(self, asked: Asked, command: str) -> Job:
        return Job(source=self.roots.find(asked.source), **asked.options(command, self.roots))

    def _looked_at(self, job: Job) -> Result:
        """Return what is in the source; where its config leads out of the folders of the page, it is not followed.

        Raises:
            ConversionError: it cannot be used, or a link leads outside.
        """
        report = api.inspect(job)
        if job.follow and self.roots.leads_out(report.source):
            report = api.inspect(replace(job, follow=False))
        if stray := self.roots.stray(report.source):
            raise outside(str(stray), self.roots.folders)
        return report


def _take(spoken: Any, name: str, report: ClipsReport, temperature: float | None) -> dict[str, Any]:
    """Return what the page shows of a sentence that was said."""
    clip = report.clips[0]
    return {
        "file": name,
        "text": spoken.text,
        "language": spoken.language,
        "about": f"{spoken.seconds:.2f} s, seed {spoken.seed}"
        + (f", temperature {temperature:g}" if temperature else ""),
        "verdict": report.verdict,
        "failed": [check.name for check in report.failed(clip)],
    }
