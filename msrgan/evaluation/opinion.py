"""Mean opinion scores: blinded sheets of pictures for people to score, and what their scores say."""

import csv
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, TypedDict

import numpy as np
from scipy import stats

from msrgan import io
from msrgan.evaluation.cases import Case, cases
from msrgan.evaluation.strips import details
from msrgan.io.atomic import atomic_folder
from msrgan.io.listing import contents
from msrgan.io.tables import rows
from msrgan.models import Upscaler

KEY = "key.csv"


class Sheets(TypedDict):
    """How many images are shown, in how many pictures, and which images were skipped: name -> reason."""

    images: int
    pictures: int
    skipped: dict[str, str]


class Opinion(TypedDict):
    """The mean opinion score of a method.

    "interval" holds low and high, None of a single image; "images", "raters" and "scores" are numbers.
    """

    mos: float
    interval: list[float] | None
    images: int
    raters: int
    scores: int


class Opinions(TypedDict):
    """What filled forms say.

    "raters": names of their forms; "pictures": their number; "unscored": how many scores the raters left out;
    "methods": the opinion of each that was scored, from the lowest to the highest.
    """

    raters: list[str]
    pictures: int
    unscored: int
    methods: dict[str, Opinion]


def sheets(
    model: Upscaler,
    examples: Iterable[dict[str, Any]],
    *,
    out: str | os.PathLike,
    degradation: str | None = None,
    limit: int = 20,
    seed: int = 0,
) -> Sheets:
    """Write pictures of images as every method restores them, and of the originals, for people to score unawares.

    The images are degraded and enlarged as `evaluate` does. Each is shown as in its strips, by the detail that
    varies most, in the contrast of the original, and in the colours that stand for its channels (the first three): once
    for each method, in one order for all raters, at random among all pictures.

    Writes pictures/001.png and so on; form.csv (picture, score), of which each rater fills a copy named form_NAME.csv
    from 1, bad, to 5, excellent; and key.csv (picture, id, method), which raters must not see.

    Args:
        model: from `models.load`.
        examples: as `evaluate` takes them.
        out: folder, new or empty.
        degradation: as `evaluate` takes it.
        limit: how many of the examples are used, the first ones.
        seed: of the order.

    Raises:
        ValueError: `out` holds something, unknown degradation, an acquired LR image is missing, or no image could be
            enlarged.
        OSError: `out` cannot be written.
    """
    out = Path(out)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise ValueError(
            f"Sheets are written into a new or empty folder: opinions, and the key to them, are not overwritten. "
            f"Received: {out}, {contents(out)}. Name another"
        )
    with atomic_folder(out) as folder:
        skipped = {}
        shown = [
            (example["id"], method, picture)
            for example, _, pictures in cases(
                model, islice(examples, limit), _pictures, degradation=degradation, skipped=skipped
            )
            for method, picture in pictures.items()
        ]
        _write_sheets(folder, shown, seed)
    return {"images": len({name for name, *_ in shown}), "pictures": len(shown), "skipped": skipped}


def opinions(folder: str | os.PathLike) -> Opinions:
    """Compute the mean opinion score of each method from the forms that were filled.

    The scores of a picture are averaged over the raters first. The mean opinion score of a method is the mean over
    its pictures, one an image, and its 95 % interval is Student's over the same, within 1 to 5: it tells what other
    images would have scored with these raters, if the images are independent.

    Args:
        folder: what `sheets` wrote, with filled forms: form.csv, form_NAME.csv. A form without scores does not count.

    Raises:
        FileNotFoundError: there is no key.csv.
        ValueError: no form has a score; a score is no number from 1 to 5; a picture is unknown or scored twice in a
            form; a file is no such table.
    """
    folder = Path(folder)
    if not (folder / KEY).is_file():
        raise FileNotFoundError(f"{folder}: holds no {KEY}. Received: {contents(folder)}. Name what the sheets are in")
    key = {picture: method for _, (picture, method) in _rows(folder / KEY, ("picture", "method"))}
    forms = {path.stem: scores for path in sorted(folder.glob("form*.csv")) if (scores := _form(path, key))}
    if not forms:
        raise ValueError(f"{folder}: no form holds a score. Fill in form.csv, or a copy form_NAME.csv for each rater")
    methods = {}
    for method in set(key.values()):
        scores = [{p: s for p, s in form.items() if key[p] == method} for form in forms.values()]
        if any(scores):
            methods[method] = _opinion([scored for scored in scores if scored])
    return {
        "raters": list(forms),
        "pictures": len(key),
        "unscored": len(key) * len(forms) - sum(map(len, forms.values())),
        "methods": dict(sorted(methods.items(), key=lambda item: (item[1]["mos"], item[0]))),
    }


def _pictures(case: Case) -> dict[str, np.ndarray]:
    """Draw the same detail of an image in every version, in equal contrast."""
    versions = case.enlarged | {"original": case.hr}
    return dict(zip(versions, details(versions.values(), case.hr), strict=True))


def _write_sheets(folder: Path, shown: Sequence[tuple[str, str, np.ndarray]], seed: int) -> None:
    """Write the pictures of (id, method, picture) in an order drawn at random, the form and the key."""
    order = np.random.default_rng(seed).permutation(len(shown))
    names = [f"{number:03}.png" for number in range(1, len(shown) + 1)]
    key = [(name, *shown[i][:2]) for name, i in zip(names, order, strict=True)]
    for name, i in zip(names, order, strict=True):
        io.write_pixels(folder / "pictures" / name, shown[i][2])
    _write_table(folder / "form.csv", ("picture", "score"), [(name, "") for name in names])
    _write_table(folder / KEY, ("picture", "id", "method"), key)


def _form(path: Path, known: dict[str, str]) -> dict[str, float]:
    """Read the scores of a rater, {picture: score}."""
    scores = {}
    for where, (picture, text) in _rows(path, ("picture", "score")):
        if not text:
            continue
        if picture not in known:
            raise ValueError(f"{where}: A picture is one of {KEY}. Received: {picture}")
        if picture in scores:
            raise ValueError(f"{where}: A rater scores a picture once. Received: {picture} again. Remove one of both")
        scores[picture] = _score(text, where)
    return scores


def _score(text, where):
    try:
        # By itself float takes the digits of every script, and 0_4.
        score = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        score = math.nan
    if not 1 <= score <= 5:
        raise ValueError(f"{where}: A score is a number from 1, bad, to 5, excellent. Received: {text}")
    return score


def _opinion(forms: Sequence[dict[str, float]]) -> Opinion:
    """Average the scores of one method: over raters, then over images."""
    pictures = set().union(*forms)
    means = [fmean(form[picture] for form in forms if picture in form) for picture in sorted(pictures)]
    mos, interval, n = fmean(means), None, len(means)
    if n > 1:
        margin = float(stats.t.ppf(0.975, n - 1)) * stdev(means) / math.sqrt(n)
        interval = [max(1.0, mos - margin), min(5.0, mos + margin)]
    return {"mos": mos, "interval": interval, "images": n, "raters": len(forms), "scores": sum(map(len, forms))}


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Read a table: where each row stands, for messages, and its cells in some columns."""
    # Spreadsheets save other columns, remarks for instance, in any encoding.
    for line, row in rows(path, columns, errors="replace"):
        where = f"{path}, line {line}"
        if row[None]:  # 4,5 for 4.5 would pass as 4
            raise ValueError(f"{where}: A row has no more cells than columns. Received: {row[None]} beyond")
        yield where, [row[column].strip() for column in columns]


def _write_table(path: Path, columns: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *lines])
