"""What the page answers: what each button begins, and how far the work is until it is over."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from verify import api
from verify.errors import ConversionError, cause_of
from verify.ui import views
from verify.ui.tasks import Asked, Tasks
from verify.ui.work import Work

_POLL_SECONDS = 0.3
_REFUSALS = (ConversionError, OSError)


class Answers:
    """The functions behind the buttons; each takes the values of fields and returns those of others."""

    def __init__(self, gradio: Any, tasks: Tasks) -> None:
        self.gr, self.tasks = gradio, tasks

    def browse(self, path: str | None) -> tuple[Any, Any]:
        """Return what was chosen among the files; to choose nothing changes nothing."""
        return (path, path) if path else (self.gr.skip(), self.gr.skip())

    def take_in(self, files: Sequence[str]) -> tuple[str, str, None]:
        """Return the path of what was dropped, and nothing, which empties the field for the next."""
        path = self.tasks.take_in(files)
        return path, path, None

    def inspect(self, source: str, checkpoint: str) -> tuple[Any, Any]:
        """Return what is in the source, and its checkpoints to choose from."""
        if not source.strip():
            return "", self.gr.skip()
        try:
            steps = self.tasks.checkpoints(source)
            chosen = checkpoint if checkpoint in {value for _, value in steps} else "best"
            report = self.tasks.inspect(Asked(source=source, checkpoint=chosen))
        except _REFUSALS as error:
            return views.refused(cause_of(error)), self.gr.skip()
        return views.inspected(report), self.gr.update(choices=steps, value=chosen)

    def convert(
        self, source: str, checkpoint: str, voice: str | None, text: str, profile: str, force: bool, *folded: Any
    ) -> str:
        """Begin the main job, and return its id."""
        asked = Asked(
            source=source, checkpoint=checkpoint, voice=voice, text=text, profile=profile, force=force, folded=folded
        )
        return self.tasks.convert(asked).id

    def compare(self, first: str, second: str, voice: str | None, text: str, *folded: Any) -> str:
        """Begin a comparison, and return its id."""
        return self.tasks.compare([first, second], Asked(source=first, voice=voice, text=text, folded=folded)).id

    def sweep(self, source: str, voice: str | None, text: str, force: bool, *folded: Any) -> str:
        """Begin a sweep, and return its id."""
        return self.tasks.sweep(Asked(source=source, voice=voice, text=text, force=force, folded=folded)).id

    def say(self, current: str, text: str, language: str, seed: float | None, temperature: float | None) -> str:
        """Begin to say another sentence, and return the id of that."""
        work = self.tasks.workshop.of(current)
        return self.tasks.say(work, text, language, int(seed or 0), temperature).id if work and work.result else ""

    def stop(self, current: str) -> None:
        """Stop a piece of work."""
        if work := self.tasks.workshop.of(current):
            work.stop()

    def explain(self, text: str) -> str:
        """Return what an error that was pasted means."""
        try:
            report = api.explain(text)
        except _REFUSALS as error:
            return views.refused(cause_of(error))
        return views.explained(report.verdict, report.causes)

    async def follow_work(self, current: str) -> AsyncIterator[tuple[Any, ...]]:
        """Show how far the work is until it is over, then what came of it."""
        yield self._nothing(3)
        async for work, shown in self._seen(current):
            yield shown, self.gr.update(interactive=not work.is_over), views.result(work, self.tasks.workshop.folder)

    async def follow_model(self, current: str) -> AsyncIterator[tuple[Any, ...]]:
        """Do the same, and let the model that came of it say more."""
        yield self._nothing(5)
        async for work, shown in self._seen(current):
            speaks = bool(work.result and work.result.sample and work.result.output)
            yield (
                shown,
                self.gr.update(interactive=not work.is_over),
                views.result(work, self.tasks.workshop.folder),
                self.gr.update(visible=speaks),
                views.takes(work),
            )

    async def follow_take(self, said: str, current: str) -> AsyncIterator[tuple[Any, ...]]:
        """Show how far a sentence is, then all that were said."""
        parent = self.tasks.workshop.of(current)
        yield self._nothing(3)
        async for work, shown in self._seen(said):
            told = views.refused(work.cause) if work.cause else shown
            yield told, self.gr.update(interactive=work.is_over), views.takes(parent) if parent else ""

    def _nothing(self, outputs: int) -> tuple[Any, ...]:
        """Return what leaves all outputs as they are; a generator that yields nothing would empty them."""
        return tuple(self.gr.skip() for _ in range(outputs))

    async def _seen(self, identity: str) -> AsyncIterator[tuple[Work, str]]:
        """Yield the work whenever what it shows has changed."""
        work, last = self.tasks.workshop.of(identity), None
        while work:
            is_over = work.is_over
            shown = views.progress(work, self.tasks.workshop.waiting_before(work))
            if shown != last or is_over:
                yield work, shown
            if is_over:
                return
            last = shown
            await asyncio.sleep(_POLL_SECONDS)
