"""The page: its fields and buttons, and which task each begins. Made anew for each server."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from verify import api, resources
from verify.errors import ConversionError, cause_of
from verify.ui import choices, views
from verify.ui.browser import browser
from verify.ui.tasks import Asked, Tasks
from verify.ui.work import Work

_POLL_SECONDS = 0.3
STYLE = Path(__file__).with_name("page.css")
FIRST_WORDS = (
    "Turn a training checkpoint of XTTS into a folder that any XTTS program opens, and hear whether it speaks."
)
REFUSALS = (ConversionError, OSError)


class Page:
    """Builds the page for a set of tasks; `gradio` is handed in, as it takes seconds to import."""

    def __init__(self, gradio: Any, tasks: Tasks) -> None:
        self.gr, self.tasks = gradio, tasks

    def build(self) -> Any:
        """Return the Gradio blocks."""
        gr = self.gr
        with gr.Blocks(title="xtts-verify", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as blocks:
            gr.HTML(f'<header class="xv"><h1>xtts-verify</h1><p>{FIRST_WORDS}</p></header>')
            with gr.Tabs():
                with gr.Tab("Convert and verify"):
                    self._convert_tab(blocks)
                with gr.Tab("Compare"):
                    self._compare_tab(blocks)
                with gr.Tab("Sweep"):
                    self._sweep_tab(blocks)
                with gr.Tab("Explain an error"):
                    self._explain_tab()
        blocks.queue(default_concurrency_limit=None, api_open=False)
        return blocks

    # --- the tabs ------------------------------------------------------------------------------------------------

    def _convert_tab(self, blocks: Any) -> None:
        gr = self.gr
        source, found = self._picker("Your run folder or checkpoint")
        with gr.Row():
            checkpoint = gr.Dropdown(
                [("the best", "best"), ("the last", "last")], value="best", label="Checkpoint", interactive=True
            )
            profile = gr.Dropdown(
                [("any program that loads a folder", ""), *((one.title, one.name) for one in api.list_profiles())],
                value="", label="For which program", interactive=True,
            )  # fmt: skip
        voice = self._voice()
        text = gr.Textbox(
            label="What it says",
            placeholder="A short sentence in the language of the run, if you leave this empty",
            lines=1,
            max_lines=6,
        )
        fields = self._folded("convert")
        force = gr.Checkbox(label="Replace what an earlier conversion wrote there", elem_id="force")
        with gr.Row():
            start = gr.Button("Convert and verify", variant="primary", elem_id="convert")
            stop = gr.Button("Stop", interactive=False, elem_id="stop")
        shown, result = gr.HTML(), gr.HTML(elem_id="result")
        current = gr.BrowserState("", storage_key="xtts-verify-convert")
        listening, takes = self._listening(current)
        inputs = [source, checkpoint, voice, text, profile, force, *fields]
        outputs = [shown, stop, result, listening, takes]
        self._follow(start, self._convert, inputs, stop, current, outputs, blocks)
        self._picked(source, found, checkpoint)

    def _listening(self, current: Any) -> tuple[Any, Any]:
        gr = self.gr
        with gr.Group(visible=False, elem_id="listen") as listening:
            line = gr.Textbox(label="Say another sentence", lines=1, max_lines=4)
            with gr.Row():
                language = gr.Dropdown(
                    [("as before", ""), *resources.load("sentences")], value="", label="Language", interactive=True
                )
                seed = gr.Number(value=1, precision=0, minimum=0, label="Seed", info="another number, another reading")
            say = gr.Button("Say it", elem_id="say")
            shown = gr.HTML()
        takes = gr.HTML(elem_id="takes")
        said = gr.State("")
        say.click(self._say, [current, line, language, seed], said, show_progress="hidden").then(
            self._follow_take, [said, current], [shown, say, takes], show_progress="hidden"
        )
        return listening, takes

    def _compare_tab(self, blocks: Any) -> None:
        gr = self.gr
        gr.HTML(
            '<p class="xv">Two models say the same in the same voice. Listen blind, then reveal which was which.</p>'
        )
        with gr.Row():
            first, second = (
                gr.Textbox(label=f"Model {letter}", placeholder="a run folder, a checkpoint or a model folder")
                for letter in "AB"
            )
        voice = self._voice()
        text = gr.Textbox(label="What they say, a sentence a line", lines=3, max_lines=12)
        fields = self._folded("compare")
        with gr.Row():
            start = gr.Button("Compare", variant="primary", elem_id="compare")
            stop = gr.Button("Stop", interactive=False)
        shown, result = gr.HTML(), gr.HTML(elem_id="compared")
        current = gr.BrowserState("", storage_key="xtts-verify-compare")
        inputs = [first, second, voice, text, *fields]
        self._follow(start, self._compare, inputs, stop, current, [shown, stop, result], blocks)

    def _sweep_tab(self, blocks: Any) -> None:
        gr = self.gr
        gr.HTML(
            '<p class="xv">Every checkpoint of a run says the same; they are ranked, and you hear them in that order. What is finished is kept: a later sweep goes on from there.</p>'
        )
        source = gr.Textbox(label="Run folder", placeholder="the folder that coqui's trainer wrote")
        voice = self._voice()
        text = gr.Textbox(label="What they say, a sentence a line", lines=3, max_lines=12)
        fields = self._folded("sweep")
        force = gr.Checkbox(label="Replace what an earlier sweep wrote there")
        with gr.Row():
            start = gr.Button("Sweep", variant="primary", elem_id="sweep")
            stop = gr.Button("Stop", interactive=False)
        shown, result = gr.HTML(), gr.HTML(elem_id="swept")
        current = gr.BrowserState("", storage_key="xtts-verify-sweep")
        inputs = [source, voice, text, force, *fields]
        self._follow(start, self._sweep, inputs, stop, current, [shown, stop, result], blocks)

    def _explain_tab(self) -> None:
        gr = self.gr
        text = gr.Textbox(label="The error, from “Traceback” to its last line", lines=10, max_lines=24, elem_id="error")
        button = gr.Button("Explain", variant="primary", elem_id="explain")
        meaning = gr.HTML(elem_id="meaning")
        button.click(self._explain, text, meaning, show_progress="hidden")

    # --- parts of tabs -------------------------------------------------------------------------------------------

    def _picker(self, label: str) -> tuple[Any, Any]:
        gr, roots = self.gr, self.tasks.roots
        source = gr.Textbox(label=label, placeholder="Type its path, browse to it, or drop the files", elem_id="source")
        with gr.Row():
            with gr.Accordion("Browse", open=False):
                for root in roots.folders:
                    explorer = browser(gr, str(root))
                    explorer.change(lambda path: path or gr.skip(), explorer, source, show_progress="hidden")
            with gr.Accordion("Drop files", open=False):
                dropped = gr.File(
                    file_count="multiple", label="The checkpoint, with its config.json and vocab.json", elem_id="drop"
                )
        found = gr.HTML(elem_id="found")
        dropped.upload(self._take_in, dropped, [source, dropped], show_progress="hidden")
        return source, found

    def _picked(self, source: Any, found: Any, checkpoint: Any) -> None:
        """Show at once what is in a source that was picked."""
        self.gr.on(
            [source.submit, source.change, checkpoint.input], self._inspect, [source, checkpoint], [found, checkpoint],
            show_progress="hidden", trigger_mode="always_last",
        )  # fmt: skip

    def _voice(self) -> Any:
        return self.gr.Audio(
            sources=["upload", "microphone"],
            type="filepath",
            label="Voice: 3 to 30 s of one speaker (the run's own, if you leave this empty)",
            buttons=[],
            elem_classes="voice",
        )

    def _folded(self, command: str) -> list[Any]:
        """Return the fields of the options that are folded away."""
        with self.gr.Accordion("More choices", open=False), self.gr.Row(elem_classes="choices"):
            return [choices.component(self.gr, field, option) for field, option in choices.folded(command)]

    def _follow(
        self,
        start: Any,
        begin: Any,
        inputs: Sequence[Any],
        stop: Any,
        current: Any,
        outputs: Sequence[Any],
        blocks: Any,
    ) -> None:
        """Let a button begin a piece of work, and the page follow it: also a page that is opened again meanwhile."""
        quiet = {"show_progress": "hidden"}
        many = len(outputs) > 3
        follow = self._follow_model if many else self._follow_work
        start.click(begin, list(inputs), current, **quiet).then(follow, current, list(outputs), **quiet)
        stop.click(self._stop, current, None, **quiet)
        blocks.load(follow, current, list(outputs), **quiet)

    # --- what the buttons call -----------------------------------------------------------------------------------

    def _take_in(self, files: Sequence[str]) -> tuple[str, None]:
        return self.tasks.take_in(files), None

    def _inspect(self, source: str, checkpoint: str) -> tuple[Any, Any]:
        if not source.strip():
            return "", self.gr.skip()
        try:
            steps = self.tasks.checkpoints(source)
            chosen = checkpoint if checkpoint in {value for _, value in steps} else "best"
            report = self.tasks.inspect(Asked(source=source, checkpoint=chosen))
        except REFUSALS as error:
            return views.refused(cause_of(error)), self.gr.skip()
        return views.inspected(report), self.gr.update(choices=steps, value=chosen)

    def _convert(
        self, source: str, checkpoint: str, voice: str | None, text: str, profile: str, force: bool, *folded: Any
    ) -> str:
        asked = Asked(
            source=source, checkpoint=checkpoint, voice=voice, text=text, profile=profile, force=force, folded=folded
        )
        return self.tasks.convert(asked).id

    def _compare(self, first: str, second: str, voice: str | None, text: str, *folded: Any) -> str:
        return self.tasks.compare([first, second], Asked(source=first, voice=voice, text=text, folded=folded)).id

    def _sweep(self, source: str, voice: str | None, text: str, force: bool, *folded: Any) -> str:
        return self.tasks.sweep(Asked(source=source, voice=voice, text=text, force=force, folded=folded)).id

    def _say(self, current: str, text: str, language: str, seed: float) -> str:
        work = self.tasks.workshop.of(current)
        return self.tasks.say(work, text, language, int(seed or 0)).id if work and work.result else ""

    def _stop(self, current: str) -> None:
        if work := self.tasks.workshop.of(current):
            work.stop()

    def _explain(self, text: str) -> str:
        try:
            report = api.explain(text)
        except REFUSALS as error:
            return views.refused(cause_of(error))
        return views.explained(report.verdict, report.causes)

    async def _follow_work(self, current: str) -> AsyncIterator[tuple[Any, ...]]:
        """Show how far the work is until it is over, then what came of it."""
        yield self._nothing(3)
        async for work, shown in self._seen(current):
            yield shown, self.gr.update(interactive=not work.is_over), views.result(work, self.tasks.workshop.folder)

    async def _follow_model(self, current: str) -> AsyncIterator[tuple[Any, ...]]:
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

    async def _follow_take(self, said: str, current: str) -> AsyncIterator[tuple[Any, ...]]:
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
