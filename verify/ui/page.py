"""The page: its fields and buttons, and which task each begins. Made anew for each server."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verify import api, resources
from verify.ui import choices
from verify.ui.answers import Answers
from verify.ui.browser import browser
from verify.ui.roots import Roots

STYLE = Path(__file__).with_name("page.css")
FIRST_WORDS = (
    "Turn a training checkpoint of XTTS into a folder that any XTTS program opens, and hear whether it speaks."
)
QUIET = {"show_progress": "hidden"}  # we show how far the work is


class Page:
    """Builds the page; `gradio` is handed in, as it takes seconds to import."""

    def __init__(self, gradio: Any, answers: Answers, roots: Roots) -> None:
        self.gr, self.answers, self.roots = gradio, answers, roots

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
        steps = [("the best", "best"), ("the last", "last")]
        checkpoint = gr.Dropdown(steps, value="best", label="Checkpoint", interactive=True, render=False)
        source = self._picker("Your run folder or checkpoint", checkpoint)
        with gr.Row():
            checkpoint.render()
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
        start, stop, shown = self._buttons("Convert and verify", "convert")
        result = gr.HTML(elem_id="result")
        current = gr.BrowserState("", storage_key="xtts-verify-convert")
        listening, takes = self._listening(current)
        inputs = [source, checkpoint, voice, text, profile, force, *fields]
        outputs = [shown, stop, result, listening, takes]
        self._follow(start, self.answers.convert, inputs, stop, current, outputs, blocks)

    def _listening(self, current: Any) -> tuple[Any, Any]:
        gr = self.gr
        with gr.Group(visible=False, elem_id="listen") as listening:
            line = gr.Textbox(label="Say another sentence", lines=1, max_lines=4)
            with gr.Row():
                language = gr.Dropdown(
                    [("as before", ""), *resources.load("sentences")], value="", label="Language", interactive=True
                )
                seed = gr.Number(1, precision=0, minimum=0, label="Seed", info="another number, another reading")
                varied = "higher varies more; 0: the model's own"
                temperature = gr.Number(0, minimum=0, step=0.05, label="Temperature", info=varied)
            say = gr.Button("Say it", elem_id="say")
            shown = gr.HTML()
        takes = gr.HTML(elem_id="takes")
        said = gr.State("")
        say.click(self.answers.say, [current, line, language, seed, temperature], said, **QUIET).then(
            self.answers.follow_take, [said, current], [shown, say, takes], **QUIET
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
        start, stop, shown = self._buttons("Compare", "compare")
        result = gr.HTML(elem_id="compared")
        current = gr.BrowserState("", storage_key="xtts-verify-compare")
        inputs = [first, second, voice, text, *fields]
        self._follow(start, self.answers.compare, inputs, stop, current, [shown, stop, result], blocks)

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
        start, stop, shown = self._buttons("Sweep", "sweep")
        result = gr.HTML(elem_id="swept")
        current = gr.BrowserState("", storage_key="xtts-verify-sweep")
        inputs = [source, voice, text, force, *fields]
        self._follow(start, self.answers.sweep, inputs, stop, current, [shown, stop, result], blocks)

    def _explain_tab(self) -> None:
        gr = self.gr
        text = gr.Textbox(label="The error, from “Traceback” to its last line", lines=10, max_lines=24, elem_id="error")
        button = gr.Button("Explain", variant="primary", elem_id="explain")
        meaning = gr.HTML(elem_id="meaning")
        button.click(self.answers.explain, text, meaning, **QUIET)

    # --- parts of tabs -------------------------------------------------------------------------------------------

    def _picker(self, label: str, checkpoint: Any) -> Any:
        """Return the field of a source that is typed, browsed to or dropped, and show at once what is in it."""
        gr = self.gr
        source = gr.Textbox(label=label, placeholder="Type its path, browse to it, or drop the files", elem_id="source")
        with gr.Row():
            with gr.Accordion("Browse", open=False):
                explorers = [browser(gr, str(root)) for root in self.roots.folders]
            with gr.Accordion("Drop files", open=False):
                what = "The checkpoint, with its config.json and vocab.json"
                dropped = gr.File(file_count="multiple", label=what, elem_id="drop")
        found = gr.HTML(elem_id="found")
        picked = gr.State("")  # what was browsed to or dropped
        for explorer in explorers:
            explorer.change(self.answers.browse, explorer, [source, picked], **QUIET)
        dropped.upload(self.answers.take_in, dropped, [source, picked, dropped], **QUIET)
        # One event for all, so that a late answer about what was there before never takes the place of a newer one.
        gr.on(
            [source.submit, source.blur, checkpoint.input, picked.change],
            self.answers.inspect, [source, checkpoint], [found, checkpoint], trigger_mode="always_last", **QUIET,
        )  # fmt: skip
        return source

    def _buttons(self, label: str, name: str) -> tuple[Any, Any, Any]:
        """Return the buttons that begin and stop a piece of work, and where it is told how far it is."""
        with self.gr.Row():
            start = self.gr.Button(label, variant="primary", elem_id=name)
            stop = self.gr.Button("Stop", interactive=False, elem_id=f"stop-{name}")
        return start, stop, self.gr.HTML(elem_id=f"progress-{name}")

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
        many = len(outputs) > 3
        follow = self.answers.follow_model if many else self.answers.follow_work
        start.click(begin, list(inputs), current, **QUIET).then(follow, current, list(outputs), **QUIET)
        stop.click(self.answers.stop, current, None, **QUIET)
        blocks.load(follow, current, list(outputs), **QUIET)
