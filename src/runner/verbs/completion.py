"""What Tab offers: the verbs and their options; for the settings of a run, what Hydra completes."""

import os
from collections.abc import Mapping

from runner.verbs.options import Verb, options, parse, run_ids

OF_RUNS = {"resume": ("FAILED", "KILLED"), "init_from": ("FINISHED",)}  # settings that name a run, by its status


def complete(arguments: list[str], verbs: Mapping[str, type[Verb]]) -> int:
    """Print the completions of the line that the shell passes in COMP_LINE.

    Args:
        arguments: the command of Hydra's shell function, such as ["-sc", "query=bash"].
        verbs: by name.
    """
    line = os.environ.get("COMP_LINE", "")
    _, *words = line.split() or [""]
    word = "" if line.endswith(" ") or not words else words.pop()
    found, asks_hydra = offers(words, word, verbs)
    for text in found:
        print(text)
    if asks_hydra:
        settings = [each for each in words if "=" in each]
        os.environ["COMP_LINE"] = " ".join(["runner", *settings, word])
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # otherwise Hydra's errors would appear in the line being typed
        return parse(verbs["train"], arguments)()
    return 0


def offers(words: list[str], word: str, verbs: Mapping[str, type[Verb]]) -> tuple[list[str], bool]:
    """Return the continuations of a word, and whether it may also be a setting of a run.

    Args:
        words: the words before it, the verb first.
        word: the beginning that is typed.
        verbs: by name.
    """
    key, equals, text = word.partition("=")
    if key in OF_RUNS and equals and (not words or words[0] not in verbs or words[0] == "train"):
        return [f"{key}={run}" for run in run_ids(OF_RUNS[key]) if run.startswith(text)], False
    if not words:
        return [name for name in verbs if name.startswith(word)], True
    if words[0] not in verbs:
        return [], True
    found: list[str] = []
    known = options(verbs[words[0]])
    for option in known:
        if option.form == "words" and not equals:
            found += option.completions(word)
        if option.form == "option" and equals and option.key == key:
            found += [f"{key}={value}" for value in option.completions(text)]
        if option.form == "option" and not equals and option.key.startswith(word):
            found += [f"{option.key}="] if not any(each.startswith(f"{option.key}=") for each in words) else []
    overrides = any(option.form == "rest" and "KEY=VALUE" in option.shown for option in known)
    return found, overrides and not found
