"""What `runner --help` prints, without composing anything: the verbs, the groups with their choices, Hydra's flags."""

import textwrap
from collections.abc import Iterable

from runner.verbs.options import Verb, usage

HEAD = """\
runner [VERB] [key=value ...]

Train a model on a dataset and record the run; no verb means train.

    runner model=textcnn data=movie_reviews
    runner -m model=textcnn,textcnn1d seed=1,2,3
    runner ui
"""

FLAGS = """\
Any other setting is written key=value (+key=value adds one, ~key removes one); `runner show NAME` explains a choice,
`runner VERB --help` a verb.

Hydra's flags
    -m, --multirun       every combination of values separated by commas
    --cfg job            print the composed configuration and end
    --info               how the configuration was composed
    --config-dir DIR     your own choices, in addition to the packaged ones
    --hydra-help         all of Hydra's flags, tab completion among them
    --debug              the whole traceback of an error
    KEY=VALUE --help     the configuration these settings compose
"""


def overview(verbs: Iterable[type[Verb]], config_dir: str | None = None) -> str:
    """Return the whole text; each verb is described by the first line of its docstring."""
    from runner.config.catalog import Catalog, folders

    catalog = Catalog(folders([config_dir] if config_dir else []))
    lines = [HEAD, "Verbs"]
    for verb in verbs:
        lines += [f"    {usage(verb, shared=False)}", f"        {(verb.__doc__ or '').splitlines()[0]}"]
    lines += ["", "Groups and their choices (group=choice)"]
    for group in catalog.groups:
        lines.append(
            textwrap.fill(
                f"{group + ':':<12} {', '.join(catalog.choices(group))}",
                width=110,
                initial_indent="    ",
                subsequent_indent=" " * 17,
                break_on_hyphens=False,
            )
        )
    return "\n".join([*lines, "", FLAGS])
