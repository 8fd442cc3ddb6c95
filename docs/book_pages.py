"""What the pages quote: tables and numbers of results.json, code and lines of the source, figures of the runs.

    python docs/book_pages.py            # write it into the pages
    python docs/book_pages.py --check    # only say which pages are behind; exit code 1

A page has markers, and what stands between a marker and the next <!-- end --> is written here, never by hand:

    <!-- results: ROW ROW ... -->        a table of rows of benchmarks/book.yaml, and why a figure is not reached
    <!-- value: ROW METRIC -->           one number within a sentence; with ` ±` behind the metric, its deviation too
    <!-- code: src/FILE.py NAME -->      a class, method or function as it stands in its file
    <!-- line: src/FILE.py NAME -->      a link to the line where it begins, within a sentence
    <!-- figure: ROW FIGURE words -->    a figure of a row, with what it shows in words
    <!-- results-of: chapter-7 -->       a table of all rows ch07_..., and of those that begin with the words behind it
    <!-- tally -->                       how many rows there are, are measured, and reach their figures
    <!-- gallery -->                     every figure of every row, with the command that draws it

So a page can be read as it is, without building anything, and a test compares it with its sources.

PAGE.zh.md is PAGE.md in Chinese: its tables have Chinese headings, and the Chinese words of a row (`title_zh`,
`book_zh`, `paper_zh`, `why_zh`) where book.yaml has them.
"""

import argparse
import ast
import json
import re
import statistics
import sys
import textwrap
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
KINDS = "results|results-of|value|code|line|figure|tally|gallery"
MARKER = re.compile(rf"<!-- ({KINDS})(?:: ([^\n]*?))? -->(.*?)<!-- end -->", flags=re.DOTALL)
CAPTION = re.compile(r"<!-- figure: (\w+) (\w+) ([^\n]+?) -->")
QUOTED = re.compile(r"\{(\w+) ([\w/]+)( ±)?\}")  # a number within `why`
CONDITION = re.compile(
    r"(?P<sign>>=|<=|>|<)?\s*(?P<than>[\w./]+|-?[\d.]+)(?: \+- (?P<off>[\d.]+))?(?: (?P<more>[+-] [\d.]+))?"
    r"(?: in (?P<times>\d+))?"
)
SIGNS = {">=": "at least", "<=": "at most", ">": "above", "<": "below", "": ""}
NOT_YET = "not measured yet"
CHINESE = {  # words of a table, and metrics
    "experiment": "实验",
    "ours": "本项目",
    "the book's": "书中",
    "the paper's": "论文",
    "to reach": "目标",
    "reached": "达到",
    "seconds": "用时（秒）",
    "yes": "是",
    "no": "否",
    NOT_YET: "尚未测量",
    "Not drawn yet:": "还没有画出来的：",
    "confusion matrix": "混淆矩阵",
    "at least": "至少",
    "at most": "至多",
    "above": "高于",
    "below": "低于",
    "f1": "F1",
    "f1 aspect": "方面词的 F1",
    "f1 opinion": "观点词的 F1",
    "exact match": "完全匹配率",
    "frequency accuracy": "选最常见候选词的准确率",
    "rouge l": "ROUGE-L",
    "naive rouge l": "摘要第一句的 ROUGE-L",
    "masked accuracy": "遮掩词的准确率",
    "next accuracy": "句子对的准确率",
    "return mean": "平均回报",
    "accuracy": "准确率",
    "balanced accuracy": "平衡准确率",
    "perplexity": "困惑度",
    "bits per char": "每字符比特数",
    "mse": "均方误差",
    "linear regression mse": "最小二乘的均方误差",
    "svr mse": "支持向量机的均方误差",
    "svr raw mse": "未标准化的支持向量机的均方误差",
    "rmse": "均方根误差",
    "analogies": "类比",
    "mae": "平均绝对误差",
    "naive accuracy": "不学习的准确率",
    "mmd": "MMD",
    "knn accuracy": "近邻准确率",
    "reconstruction": "重构误差",
    "elbo": "证据下界",
    "log likelihood": "对数似然",
    "class coverage": "出现的类数",
    "classifier score": "分类器评分",
    "frechet distance": "Fréchet 距离",
    "probe accuracy": "探针准确率",
    "naive probe accuracy": "词袋编码的探针准确率",
    "naive rmse": "“明天等于今天”的均方根误差",
    **{f"loss {name}": f"{name} 的损失" for name in ("sgd", "momentum", "adam", "adadelta")},
}
SEEDS = [1, 2, 3]  # of a row that says nothing else
BRACES = r"\{\w+\}"  # in a command: the folder of the run of another row


def pages() -> list[Path]:
    """The pages that may have markers."""
    return [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]


def is_chinese(page: Path) -> bool:
    """Whether a page is the Chinese version of another one."""
    return page.name.endswith((".zh.md", ".zh-CN.md"))


def said(words: str, chinese: bool) -> str:
    """Return words of a table in the language of a page."""
    return CHINESE.get(words, words) if chinese else words


def told(row: dict[str, Any], key: str, chinese: bool) -> str:
    """Return what a row says in the language of a page, or in English if it says it only there."""
    return str(row.get(f"{key}_zh", row.get(key, "")) if chinese else row.get(key, ""))


@cache
def rows() -> dict[str, dict[str, Any]]:
    """The rows of the book."""
    return yaml.safe_load((ROOT / "benchmarks" / "book.yaml").read_text(encoding="utf-8"))


def results() -> dict[str, dict[str, Any]]:
    """What has been measured."""
    file = ROOT / "docs" / "results.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def filled(page: str, found: dict[str, dict[str, Any]], chinese: bool = False) -> str:
    """Return the text of a page with everything between its markers made anew."""

    def made(marker: re.Match[str]) -> str:
        kind, words = marker[1], (marker[2] or "").split()
        if kind == "value":
            content = value(found, *words, chinese=chinese)
        elif kind == "line":
            content = line(*words)
        elif kind == "code":
            content = f"\n\n{code(*words, chinese=chinese)}\n\n"
        elif kind == "figure":
            content = figure(words[0], words[1], " ".join(words[2:]))
        elif kind == "tally":
            content = tally(found, chinese)
        elif kind == "gallery":
            content = f"\n\n{gallery(chinese)}\n\n"
        else:
            content = f"\n\n{table(words if kind == 'results' else rows_of(words), found, chinese)}\n\n"
        return f"<!-- {kind}{': ' + marker[2] if words else ''} -->{content}<!-- end -->"

    return MARKER.sub(made, page)


def shown(row: dict[str, Any], metric: str, result: dict[str, Any], spread: bool) -> str:
    """Return a metric of a row with as many digits as its row says."""
    digits, numbers = row["shows"][metric], result["metrics"][metric]
    deviation = numbers["deviation"]
    mean = f"{numbers['mean']:.{digits}f}"
    return f"{mean} ± {deviation:.{digits}f}" if spread and deviation is not None else mean


def value(found: dict[str, dict[str, Any]], name: str, metric: str, spread: str = "", chinese: bool = False) -> str:
    """Return a number within a sentence."""
    return shown(rows()[name], metric, found[name], bool(spread)) if name in found else said(NOT_YET, chinese)


def ours(row: dict[str, Any], result: dict[str, Any], chinese: bool = False) -> str:
    """Return all figures of a row, and of how many runs they are."""
    parts = [f"{said(wording(metric), chinese)} {shown(row, metric, result, True)}" for metric in row["shows"]]
    runs, all_runs = len(next(iter(result["metrics"].values()))["values"]), len(row.get("seeds", SEEDS))
    partly = runs != all_runs and not result["quick"]
    counted = runs > 1 or partly
    if chinese:
        of = f"（{all_runs} 次运行中的 {runs} 次）" if partly else f"（{runs} 次运行）"
        return "，".join(parts) + of * counted + "（快速设置）" * result["quick"]
    of = f" of {all_runs}" if partly else ""
    return ", ".join(parts) + f" ({runs}{of} runs)" * counted + " (quick)" * result["quick"]


def wording(metric: str) -> str:
    """Return a metric as it is called in a table."""
    return metric.partition("/")[2].replace("_", " ")


def aim(row: dict[str, Any], chinese: bool = False) -> str:
    """Return in words what is to be reached."""
    parts = []
    for metric, condition in row.get("reach", {}).items():
        found = CONDITION.fullmatch(str(condition))
        if found is None:
            raise ValueError(f"book.yaml, {row['title']}: {condition!r} is not a condition; see its head")
        than = found["than"]
        title = f"“{told(rows()[than], 'title', chinese)}”" if than in rows() else than
        of = said(wording(than), chinese) if "/" in than else title
        words = [said(wording(metric), chinese), said(SIGNS[found["sign"] or ""], chinese), of]
        words += [f"± {found['off']}"] if found["off"] else []
        words += [found["more"]] if found["more"] else []
        times, runs = found["times"], len(row.get("seeds", SEEDS))
        words += [f"（{runs} 次运行中有 {times} 次）" if chinese else f"in {times} of {runs} runs"] if times else []
        parts.append(" ".join(filter(None, words)))
    return ("，" if chinese else ", ").join(parts)


def table(names: list[str], found: dict[str, dict[str, Any]], chinese: bool = False) -> str:
    """Return a table with a line for each row, without the columns that are empty."""
    lines = []
    for name in names:
        row, result = rows()[name], found.get(name)
        answer = {True: "yes", False: "no", None: ""}[reached(name, found)]
        command = re.sub(BRACES, "DIR", row["command"])
        lines.append(
            {
                "experiment": f"{told(row, 'title', chinese)}<br>`runner {command}`",
                "ours": ours(row, result, chinese) if result else said(NOT_YET, chinese),
                "the book's": told(row, "book", chinese),
                "the paper's": told(row, "paper", chinese),
                "to reach": aim(row, chinese),
                "reached": said(answer, chinese),
                "seconds": f"{result['seconds']:.0f}" if result else "",
            }
        )
    columns = [column for column in lines[0] if any(each[column] for each in lines)]
    text = [f"| {' | '.join(said(column, chinese) for column in columns)} |", "|---" * len(columns) + "|"]
    text += [f"| {' | '.join(each[column] for column in columns)} |" for each in lines]
    reasons = [
        f"- *{told(rows()[name], 'title', chinese)}*{'：' if chinese else ': '}"
        + because(told(rows()[name], "why", chinese), found)
        for name in names
        if "why" in rows()[name] and name in found and reached(name, found) is False
    ]
    return "\n".join([*text, *([""] if reasons else []), *reasons])


def rows_of(words: list[str]) -> list[str]:
    """Return the names of the rows of chapters, chapter-7 for ch07_..., or that begin with a word."""
    begins = [
        f"ch{int(chapter[1]):02}_" if (chapter := re.fullmatch(r"chapter-(\d+)", word)) else word for word in words
    ]
    unknown = [begin for begin in begins if not any(name.startswith(begin) for name in rows())]
    if unknown:
        raise ValueError(f"book.yaml has no row that begins with {', '.join(unknown)}")
    return [name for name in rows() if name.startswith(tuple(begins))]


def tally(found: dict[str, dict[str, Any]], chinese: bool = False) -> str:
    """Return how many rows there are, how many of them are measured, and how many reach their figures."""
    answers = [reached(name, found) for name in rows()]
    measured, right, wrong = sum(name in found for name in rows()), answers.count(True), answers.count(False)
    if chinese:
        return f"{len(rows())} 个实验中，目前测量了 {measured} 个。其中有目标的，{right} 个达到，{wrong} 个没有达到。"
    return (
        f"Of {len(rows())} experiments {measured} are measured so far. Of those with a figure to reach "
        f"{right} reach it and {wrong} do not."
    )


def gallery(chinese: bool = False) -> str:
    """Return every figure of every row under the command that draws it, and a list of those that are not drawn yet."""
    named = {
        (row, figure): words
        for page in sorted(pages(), key=is_chinese)  # Chinese words in the place of English ones, where there are some
        if chinese or not is_chinese(page)
        for row, figure, words in CAPTION.findall(page.read_text(encoding="utf-8"))
    }
    opening, closing, comma, colon = ("（", "）", "，", "：") if chinese else (" (", ")", ", ", ": ")
    drawn, absent = [], []
    for name, row in rows().items():
        for each in row.get("figures", []):
            command = f"`runner {re.sub(BRACES, 'DIR', row['command'])}`{comma}`figures/{each}.png`"
            title = f"{told(row, 'title', chinese)}{colon}{said(wording(f'/{each}'), chinese)}"
            words = named.get((name, each), title)
            place = f"{opening}[{row['page']}]({row['page']}.md){closing}"
            if image := figure(name, each, words):
                drawn.append(f"**{words}**{place}{comma}{command}{image}")
            else:
                absent.append(f"- {words}{place}{colon}{command}")
    not_yet = said("Not drawn yet:", chinese)
    return "\n\n".join([*map(str.strip, drawn), *([f"{not_yet}\n\n" + "\n".join(absent)] if absent else [])])


def because(why: str, found: dict[str, dict[str, Any]]) -> str:
    """Return a reason with its numbers, which are those of results.json."""
    return QUOTED.sub(lambda number: value(found, number[1], number[2], number[3] or ""), why)


def reached(name: str, found: dict[str, dict[str, Any]]) -> bool | None:
    """Whether the figures of a row are what is to be reached; None if nothing is, or another row has no result yet."""
    row = rows()[name]
    if name not in found or "reach" not in row:
        return None
    return all_of(fulfils(metric, str(condition), name, found) for metric, condition in row["reach"].items())


def all_of(answers: Iterable[bool | None]) -> bool | None:
    """Return False if one of them is, else None if one of them is, else True."""
    known = list(answers)
    return False if False in known else None if None in known else True


def fulfils(metric: str, condition: str, name: str, found: dict[str, dict[str, Any]]) -> bool | None:
    """Whether the values of a metric are as a condition says; see book.yaml."""
    parts = CONDITION.fullmatch(condition)
    if parts is None:
        raise ValueError(f"book.yaml, {name}: {condition!r} is not a condition; see its head")
    own = found[name]["metrics"]
    values, mean = own[metric]["values"], own[metric]["mean"]
    than, more = parts["than"], float((parts["more"] or "0").replace(" ", ""))
    if "/" in than:
        limits = own[than]["values"]
    elif re.fullmatch(r"-?[\d.]+", than):
        limits = dict.fromkeys(values, float(than))
    elif than in found:
        limits = dict.fromkeys(values, found[than]["metrics"][metric]["mean"])
    else:
        return None
    if parts["off"]:
        return all(abs(value - limits[seed]) <= float(parts["off"]) for seed, value in values.items())
    compare = {">=": float.__ge__, "<=": float.__le__, ">": float.__gt__, "<": float.__lt__}[parts["sign"]]
    if parts["times"]:
        right = sum(compare(float(value), limits[seed] + more) for seed, value in values.items())
        return right >= min(int(parts["times"]), len(values))  # of a quick result there is one value
    return compare(float(mean), statistics.mean(limits.values()) + more)


def definition(file: str, name: str) -> ast.ClassDef | ast.FunctionDef:
    """Return where a class, method or function is defined, such as MLP.forward."""
    body: list[ast.stmt] = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    node: Any = None
    for part in name.split("."):
        kinds = (ast.ClassDef, ast.FunctionDef)
        node = next((each for each in body if isinstance(each, kinds) and each.name == part), None)
        if node is None:
            raise ValueError(f"{file} has no {name}")
        body = node.body
    return node


def first_line(node: ast.ClassDef | ast.FunctionDef) -> int:
    """Return the line on which a definition begins, with its decorators."""
    return min([node.lineno, *(each.lineno for each in node.decorator_list)])


def line(file: str, name: str) -> str:
    """Return a link to a definition."""
    return f"[`{name}`](../{file}#L{first_line(definition(file, name))})"


def code(file: str, name: str, chinese: bool = False) -> str:
    """Return a definition as a block, and where it stands."""
    node = definition(file, name)
    text = (ROOT / file).read_text(encoding="utf-8").splitlines()[first_line(node) - 1 : node.end_lineno]
    block = textwrap.dedent("\n".join(text))
    number = first_line(node)
    place = f"第 {number} 行" if chinese else f"line {number}"
    where = f"[`{file}`, {place}](../{file}#L{number})"
    return f"```python\n{block}\n```\n\n`{name}`{'，见 ' if chinese else ' in '}{where}"


def figure(name: str, figure: str, words: str) -> str:
    """Return a figure, or nothing if it has not been drawn yet."""
    path = f"figures/{name}_{figure}.png"
    return f"\n\n![{words}]({path})\n\n" if (ROOT / "docs" / path).exists() else ""


def write(check: bool = False) -> list[str]:
    """Write what the pages quote; return the names of those that were behind."""
    found, behind = results(), []
    for page in pages():
        before = page.read_text(encoding="utf-8")
        after = filled(before, found, is_chinese(page))
        if after != before:
            behind.append(page.name)
            if not check:
                page.write_text(after, encoding="utf-8")
    return behind


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    behind = write(check)
    print(
        "\n".join(f"{name}: {'behind' if check else 'written'}" for name in behind) or "all pages are as they should be"
    )
    return 1 if check and behind else 0


if __name__ == "__main__":
    sys.exit(main())
