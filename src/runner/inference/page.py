"""The page of `runner demo`, made with gradio: parts that fit the model, one below a tab each.

Nothing is loaded from elsewhere, and nothing is sent anywhere. A part asks `runner.inference.trying` or
`runner.inference.drawings`; what a person cannot know is answered in the page, by the sentence of the mistake.
"""

import html
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, NamedTuple

import gradio as gr
from fastapi import FastAPI

from runner.errors import UserError
from runner.inference import drawings, trying
from runner.inference.predictor import Predictor
from runner.tasks.image_codes import ImageCodes

FONTS = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]  # those of the system
STYLE = """
.refused { border-left: 4px solid #c0392b; padding: 0.4em 0.8em; background: rgba(192, 57, 43, 0.12); }
.words { line-height: 2; } .words span { padding: 0.1em 0.25em; border-radius: 0.25em; }
h2.label { text-align: center; margin: 0.2em; }
.pixels img { image-rendering: pixelated; }
.pad canvas { border: 1px solid grey; touch-action: none; cursor: crosshair; width: 280px; height: 280px; }
.pad button { border: 1px solid grey; border-radius: 0.25em; padding: 0 0.6em; }
"""
GREEN, RED = "46, 160, 67", "218, 54, 51"
SHOWN_CLASSES = 10
# A pad of 280 x 280 pixels: black ink on white paper, drawn with a mouse, a pen or a finger.
PAD = """<div class="pad"><canvas width="280" height="280"></canvas><br><button type="button">clear</button></div>"""
DRAWS = """
const paper = element.querySelector("canvas"), pen = paper.getContext("2d");
const clear = () => { pen.fillStyle = "white"; pen.fillRect(0, 0, paper.width, paper.height); };
const place = (event) => [event.offsetX * paper.width / paper.clientWidth,
                          event.offsetY * paper.height / paper.clientHeight];
clear();
Object.assign(pen, {lineWidth: 22, lineCap: "round", lineJoin: "round", strokeStyle: "black"});
paper.addEventListener("pointerdown", (event) => {
    paper.setPointerCapture(event.pointerId);
    pen.beginPath(); pen.moveTo(...place(event)); pen.lineTo(...place(event)); pen.stroke();
});
paper.addEventListener("pointermove", (event) => {
    if (event.buttons) { pen.lineTo(...place(event)); pen.stroke(); }
});
element.querySelector("button").addEventListener("click", clear);
"""
SENDS = '(...values) => [document.querySelector(".pad canvas").toDataURL("image/png"), ...values.slice(1)]'


class Asking:
    """Lets the parts of a page ask a model, one at a time.

    Args:
        predictor: the model.
    """

    def __init__(self, predictor: Predictor):
        self.predictor = predictor
        self.lock = Lock()  # some answers change a setting of the objective for a moment

    def when(
        self,
        triggers: Sequence[Callable],
        ask: Callable[..., Sequence],
        inputs: Sequence[gr.components.Component],
        outputs: Sequence[gr.components.Component],
        name: str,
        js: str | None = None,
    ) -> None:
        """Show what `ask` returns for the inputs, or the sentence of a `UserError` and nothing else.

        Args:
            triggers: events, such as the click of a button.
            ask: from the values of the inputs to those of the outputs.
            inputs: what is typed.
            outputs: the first one is where a mistake is said.
            name: of the call in gradio's API.
            js: what the browser makes of the values of the inputs before it sends them.
        """

        def answer(*values: Any) -> list:
            try:
                with self.lock:
                    return ["", *ask(*values)]
            except UserError as mistake:
                return [refused(str(mistake)), *[None] * (len(outputs) - 1)]

        gr.on(
            [*triggers],
            answer,
            [*inputs],
            [*outputs],
            api_name=name,
            trigger_mode="always_last",
            show_progress="hidden",
            js=js,
        )


class PagePart(NamedTuple):
    """A part of the page: its title, which models it fits, and what draws it."""

    title: str
    fits: Callable[[Predictor], bool]
    build: Callable[[Asking, gr.Blocks], None]


def page_of(predictor: Predictor, title: str) -> FastAPI:
    """Return the web application with the page of a model.

    Raises:
        UserError: there is nothing that could be tried.
    """
    parts = [part for part in PARTS if part.fits(predictor)]
    if not parts:
        raise UserError(
            f"{type(predictor.task).__name__} answers no single examples: there is nothing to try on a page"
        )
    asking = Asking(predictor)
    with gr.Blocks(title=title, analytics_enabled=False) as page:
        gr.Markdown(f"## {title}", sanitize_html=True)
        with gr.Tabs():
            for part in parts:
                with gr.Tab(part.title):
                    part.build(asking, page)
    theme = gr.themes.Default(font=FONTS[0], font_mono=FONTS[1])
    return gr.mount_gradio_app(
        FastAPI(),
        page,
        path="/",
        server_name="127.0.0.1",
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size="5mb",
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=theme,
        css=STYLE,
    )


def refused(sentence: str) -> str:
    """A mistake as HTML."""
    return f'<div class="refused">{html.escape(sentence)}</div>'


def coloured_words(found: trying.Shaded) -> str:
    """Words with weights -1 .. 1 as HTML: green for the answer, red against it."""
    spans = (
        f'<span style="background: rgba({GREEN if weight > 0 else RED}, {abs(weight):.2f})" '
        f'title="{weight:+.2f}">{html.escape(word)}</span>'
        for word, weight in found.words
    )
    caption = f"words for {found.label} are green, words against it red; {found.method}"
    return f'<div class="words">{" ".join(spans)}</div><small>{html.escape(caption)}</small>'


def sentence_box() -> gr.HTML:
    """Where a mistake is said."""
    return gr.HTML(elem_classes="said")


def predicted_lines(predictor: Predictor, answer: dict) -> str:
    """The lines that `predict` prints."""
    return "\n".join(predictor.task.shown(answer))


# The parts.


def row_part(asking: Asking, page: gr.Blocks) -> None:
    """A box for each column; the classes with their probabilities, or the lines of `predict`."""
    model = asking.predictor
    kinds, usual = model.columns, trying.usual_values(model)
    boxes: list[gr.components.Component] = []
    with gr.Row():
        for name, kind in kinds.items():
            if kind == "string":
                boxes.append(gr.Textbox(label=name, lines=3 if len(kinds) == 1 else 1, scale=1, min_width=300))
            else:
                boxes.append(gr.Number(label=name, value=usual.get(name), min_width=140))
    button = gr.Button("Answer", variant="primary")
    said = sentence_box()
    has_classes = trying.answers_classes(model)
    found = class_boxes() if has_classes else [gr.Textbox(label="answer")]
    explains = trying.explains(model)
    words = [gr.HTML(container=True)] if explains else []

    def ask(*cells: Any) -> list:
        texts = {name for name, kind in kinds.items() if kind == "string"}
        row = {
            name: trying.typed_text(cell, name) if name in texts else "" if cell is None else cell
            for name, cell in zip(kinds, cells, strict=True)
        }
        answer = trying.answered(model, row)
        shown = class_values(answer) if has_classes else [predicted_lines(model, answer.whole)]
        return [*shown, *([coloured_words(trying.shaded(model, row))] if explains else [])]

    submits = [box.submit for box in boxes if isinstance(box, gr.Textbox | gr.Number)]
    asking.when([button.click, *submits], ask, boxes, [said, *found, *words], "answer")


def written_part(asking: Asking, page: gr.Blocks) -> None:
    """A source, what is written for it, and where the net looked."""
    source = gr.Textbox(label=next(iter(asking.predictor.columns)), lines=3)
    paths = gr.Slider(1, trying.MOST_PATHS, value=1, step=1, label="beam size; 1 = the likeliest token each time")
    button = gr.Button("Write", variant="primary")
    said = sentence_box()
    best = gr.Textbox(label="written")
    others = gr.Textbox(label="all paths, with their scores", visible=False)
    look = gr.Plot(label="where it looked", show_label=False)  # its axes say what they are

    def ask(text: Any, size: Any) -> list:
        found = trying.written_targets(asking.predictor, text, size)
        several = "\n".join(f"{score:.4f}  {text}" for text, score in found.answers if score is not None)
        return [found.answers[0][0], gr.Textbox(value=several, visible=bool(several)), found.look]

    asking.when([button.click, source.submit], ask, [source, paths], [said, best, others, look], "write")


def continuation_part(asking: Asking, page: gr.Blocks) -> None:
    """A prompt and what follows."""
    prompt = gr.Textbox(label="prompt", lines=3)
    with gr.Row():
        method = gr.Radio(["sample", "greedy", "beam"], value="sample", label="method")
        temperature = gr.Slider(0.05, 2, value=0.8, step=0.05, label="temperature", min_width=200)
        length = gr.Slider(1, trying.LONGEST_ANSWER, value=200, step=1, label="length in tokens", min_width=200)
        seed = seed_box(0, "seed of sampling")
    button = gr.Button("Continue", variant="primary")
    said = sentence_box()
    text = gr.Textbox(label="continuation", lines=8)

    def ask(*values: Any) -> list:
        return [trying.continued_text(asking.predictor, *values)]

    asking.when([button.click], ask, [prompt, method, temperature, length, seed], [said, text], "continue")


def drawing_part(asking: Asking, page: gr.Blocks) -> None:
    """A pad, what the model sees of it, and its answer; of an autoencoder also what it makes of it."""
    model = asking.predictor
    recovers = isinstance(model.task, ImageCodes)
    with gr.Row():
        with gr.Column():
            gr.HTML(PAD, js_on_load=DRAWS)
            pad = gr.Textbox(label="a PNG image as data URL", visible=False)
            bright = gr.Checkbox(True, label="the data are bright on black, as MNIST")
            told = class_box(model)
            button = gr.Button("Answer", variant="primary")
            said = sentence_box()
        with gr.Column():
            seen = pixels("what the model sees", 200)
            if recovers:
                found: list[gr.components.Component] = [pixels("what it recovers", 200), gr.Textbox(label="code")]
            else:
                found = class_boxes()

    def ask(drawing: Any, is_bright: Any, *known: Any) -> list:
        image = drawings.seen_image(model, drawings.opened(drawing), bool(is_bright))
        shown = drawings.enlarged(image / 255, side=160)
        answer = drawings.of_image(model, image)
        if not recovers:
            return [shown, *class_values(answer)]
        again = drawings.side_by_side(drawings.recovered(model, image, *known)[None].clip(0, 1))
        return [shown, drawings.enlarged(again, side=160), predicted_lines(model, answer.whole)]

    asking.when([button.click], ask, [pad, bright, *told], [said, seen, *found], "draw", SENDS)


def samples_part(asking: Asking, page: gr.Blocks) -> None:
    """Images of codes drawn at random."""
    model = asking.predictor
    with gr.Row():
        number = gr.Slider(1, drawings.MOST_IMAGES, value=16, step=1, label="images")
        seed = seed_box(0, "seed")
        told = class_box(model)
    button = gr.Button("Draw", variant="primary")
    said, image = sentence_box(), pixels("samples")

    def ask(*values: Any) -> list:
        return [drawings.enlarged(drawings.drawn_images(model, *values), side=480)]

    asking.when([button.click], ask, [number, seed, *told], [said, image], "sample")


def plane_part(asking: Asking, page: gr.Blocks) -> None:
    """The image at a place of the latent plane, while a slider moves."""
    model = asking.predictor
    with gr.Row():
        places = [
            gr.Slider(-drawings.EDGE, drawings.EDGE, value=0, step=0.05, label=name) for name in ("code_0", "code_1")
        ]
        told = class_box(model)
    said, image = sentence_box(), pixels("decoded")

    def ask(*values: Any) -> list:
        return [drawings.enlarged(drawings.on_plane(model, *values))]

    boxes: list[gr.Slider | gr.Dropdown] = [*places, *told]
    asking.when([page.load, *(box.change for box in boxes)], ask, boxes, [said, image], "plane")


def way_part(asking: Asking, page: gr.Blocks) -> None:
    """From the image of one seed to that of another, while a slider moves."""
    model = asking.predictor
    with gr.Row():
        ends = [
            gr.Number(value, label=name, precision=0, minimum=0) for value, name in ((1, "from seed"), (2, "to seed"))
        ]
        share = gr.Slider(0, 1, value=0, step=0.02, label="share of the way")
        told = class_box(model)
    said, image = sentence_box(), pixels("decoded")

    def ask(*values: Any) -> list:
        return [drawings.enlarged(drawings.between(model, *values))]

    boxes: list[gr.Number | gr.Slider | gr.Dropdown] = [*ends, share, *told]
    asking.when([page.load, *(box.change for box in boxes)], ask, boxes, [said, image], "way")


def question_part(asking: Asking, page: gr.Blocks) -> None:
    """What `predict` can be asked besides rows, such as near=king."""
    model = asking.predictor
    questions = model.task.questions()
    with gr.Row():
        which = gr.Dropdown([*questions], value=next(iter(questions)), label="question")
        typed = gr.Textbox(label="as after = in: runner predict run=... near=king", scale=3)
    button = gr.Button("Ask", variant="primary")
    said, table = sentence_box(), gr.Dataframe(label="answers", interactive=False)

    def ask(name: Any, value: Any) -> list:
        if name not in questions:
            raise UserError(f"the question is one of {', '.join(questions)}, received {trying.cut_short(name)}")
        rows = questions[name](trying.typed_text(value, name), model.data)
        headers = [*rows[0]] if rows else []
        return [gr.Dataframe(value=[[*row.values()] for row in rows], headers=headers)]

    asking.when([button.click, typed.submit], ask, [which, typed], [said, table], "ask")


def json_part(asking: Asking, page: gr.Blocks) -> None:
    """A row as JSON and the answer of `predict`."""
    model = asking.predictor
    columns = ", ".join(f"{name} ({kind})" for name, kind in [*model.columns.items()][:20])
    typed = gr.Textbox(label=f"a row as JSON; columns: {columns}", lines=6, placeholder='{"column": value, ...}')
    button = gr.Button("Answer", variant="primary")
    said, found = sentence_box(), gr.JSON(label="answer")

    def ask(text: Any) -> list:
        return [trying.answered(model, trying.json_row(text)).whole]

    asking.when([button.click], ask, [typed], [said, found], "row")


def pixels(label: str, height: int = 340) -> gr.Image:
    """Where an image is shown, as it is."""
    return gr.Image(
        label=label, format="png", interactive=False, buttons=["download"], elem_classes="pixels", height=height
    )


def class_boxes() -> list[gr.components.Component]:
    """Where the decided class and the probabilities of all classes are shown."""
    return [gr.HTML(), gr.Label(label="probabilities", show_heading=False, num_top_classes=SHOWN_CLASSES)]


def class_values(answer: trying.Answered) -> list:
    """What they show; the class is not always the likeliest one, see `task.threshold`."""
    return [f'<h2 class="label">{html.escape(str(answer.label))}</h2>', answer.probabilities]


def seed_box(value: int, label: str) -> gr.Number:
    """A seed of random numbers."""
    return gr.Number(value, label=label)


def class_box(model: Predictor) -> list[gr.Dropdown]:
    """A choice of the class, if the net wants to be told it."""
    names = drawings.classes_told(model)
    return [gr.Dropdown(names, value=names[0], label="class")] if names else []


def in_boxes(model: Predictor) -> bool:
    return trying.has_boxes(model) and not (trying.writes(model) or trying.continues(model))


def as_json(model: Predictor) -> bool:
    return trying.answers_rows(model) and not (trying.has_boxes(model) or drawings.sees_images(model))


PARTS = (
    PagePart("write", trying.writes, written_part),
    PagePart("continue", trying.continues, continuation_part),
    PagePart("row", in_boxes, row_part),
    PagePart("draw", drawings.sees_images, drawing_part),
    PagePart("plane", drawings.has_plane, plane_part),
    PagePart("samples", drawings.makes_images, samples_part),
    PagePart("from one to another", drawings.makes_images, way_part),
    PagePart("row as JSON", as_json, json_part),
    PagePart("questions", drawings.has_questions, question_part),
)
