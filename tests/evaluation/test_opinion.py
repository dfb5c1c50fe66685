import csv
from importlib.metadata import version
from itertools import groupby

import cv2
import numpy as np
import pytest
import tensorflow as tf
from conftest import spots
from scipy import stats

from msrgan import models
from msrgan.evaluation.opinion import opinions, sheets

METHODS = {"model", "nearest", "bicubic", "lanczos", "original"}
SIDES = {"wide": 144, "b/small": 48, "c": 64}


def examples():
    return [{"id": name, "image": spots(k, size, 1)} for k, (name, size) in enumerate(SIDES.items())]


def doubled():
    """A model whose images are of twice the contrast, with white as it is."""
    null = models.load("nearest")
    metadata = null.metadata | {"interpolation": "another", "normalization": "range"}
    return models.Upscaler(lambda x: 1 - 2 * (1 - tf.repeat(tf.repeat(x, 4, axis=1), 4, axis=2)), metadata)


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def picture(folder, method, name):
    row = next(row for row in table(folder / "key.csv") if (row["id"], row["method"]) == (name, method))
    return cv2.imread(str(folder / "pictures" / row["picture"]), cv2.IMREAD_UNCHANGED)


def fill(path, scores):
    path.write_text("picture,score\n" + "".join(f"{name},{score}\n" for name, score in scores))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("opinion") / "deep" / "out"
    tiny = {"id": "tiny", "image": spots(9, 12, 1)}
    told = sheets(doubled(), [tiny, *examples(), *examples()], out=out, degradation="area", limit=4)
    return out, told


@pytest.fixture
def key(tmp_path):
    """A folder of two images by two methods: pictures 1 and 3 by a, 2 and 4 by b."""
    lines = ["picture,id,method", "1.png,x,a", "2.png,x,b", "3.png,y,a", "4.png,y,b"]
    (tmp_path / "key.csv").write_text("\n".join(lines))
    return tmp_path


# Sheets


def test_what_is_written(made):
    out, told = made
    assert (told["images"], told["pictures"]) == (3, 15)
    assert list(told["skipped"]) == ["tiny"] and "16 pixels or more" in told["skipped"]["tiny"]
    names = [f"{n:03}.png" for n in range(1, 16)]
    assert sorted(p.name for p in out.iterdir()) == ["form.csv", "key.csv", "pictures"]
    assert sorted(p.name for p in (out / "pictures").iterdir()) == names
    assert table(out / "form.csv") == [{"picture": name, "score": ""} for name in names]
    key = table(out / "key.csv")
    assert [row["picture"] for row in key] == names
    assert {(row["id"], row["method"]) for row in key} == {(name, m) for name in SIDES for m in METHODS}


def test_nothing_tells_the_method(made):
    out, _ = made
    for path in (out / "pictures").iterdir():
        data = path.read_bytes()
        chunks, start = [], 8
        while start < len(data):
            length = int.from_bytes(data[start : start + 4], "big")
            chunks.append((data[start + 4 : start + 8], data[start + 8 : start + 8 + length]))
            start += 12 + length
        # Header, pixels, end: no time, and no other text than the name of this program.
        assert [kind for kind, _ in groupby(kind for kind, _ in chunks)] == [b"IHDR", b"tEXt", b"IDAT", b"IEND"]
        texts = [text for kind, text in chunks if kind == b"tEXt"]
        assert texts == [f"Software\0msrgan {version('msrgan')}".encode()]
    for column, most in (("method", 5), ("id", 3)):
        runs = [name for name, _ in groupby(row[column] for row in table(out / "key.csv"))]
        assert len(runs) > most


def test_the_seed_makes_the_order(made, tmp_path):
    out, _ = made
    keys = {}
    for seed in (0, 1):
        sheets(doubled(), examples(), out=tmp_path / str(seed), degradation="area", seed=seed)
        keys[seed] = (tmp_path / str(seed) / "key.csv").read_bytes()
    assert keys[0] == (out / "key.csv").read_bytes() != keys[1]
    for path in (out / "pictures").iterdir():
        assert path.read_bytes() == (tmp_path / "0" / "pictures" / path.name).read_bytes()


def test_pictures_of_an_image_differ_in_the_method_alone(made):
    out, _ = made
    crops = {}
    for name, side in SIDES.items():
        shown = {method: picture(out, method, name) for method in METHODS}
        window = min(side, 128)
        times = round(256 / window)
        assert {p.shape for p in shown.values()} == {(window * times, window * times, 3)}
        assert {p.dtype for p in shown.values()} == {np.dtype(np.uint8)}
        crops[name] = {method: p[::times, ::times, 0].astype(int) for method, p in shown.items()}
        assert len({p.tobytes() for p in shown.values()}) == 5
    # A crop of the whole image: its percentiles make the contrast.
    hr = examples()[1]["image"][..., 0].astype(float)
    low, high = np.percentile(hr, (0.1, 99.9))
    drawn = {method: np.clip(np.rint((x - low) / (high - low) * 255), 0, 255) for method, x in restored(hr).items()}
    for method, expected in drawn.items():
        np.testing.assert_allclose(crops["b/small"][method], expected, atol=0 if method == "original" else 1)


def restored(hr):
    """Reduce an image by the mean of 4x4 pixels, rounded as in a file, and enlarge it without a filter."""
    lr = np.rint(hr.reshape(12, 4, 12, 4).mean(axis=(1, 3)))
    nearest = lr.repeat(4, axis=0).repeat(4, axis=1)
    return {"original": hr, "nearest": nearest, "model": np.clip(255 - 2 * (255 - nearest), 0, 255)}


def test_the_most_varied_detail_is_shown(tmp_path):
    image = np.full((256, 512, 1), 100, np.uint8)
    detail = np.random.default_rng(0).integers(0, 256, (128, 128), np.uint8)
    image[64:192, 320:448, 0] = detail
    sheets(models.load("bicubic"), [{"id": "a", "image": image}], out=tmp_path)
    low, high = np.percentile(detail, (0.1, 99.9))
    expected = np.clip(np.rint((detail - low) / (high - low) * 255), 0, 255)
    np.testing.assert_array_equal(picture(tmp_path, "original", "a")[::2, ::2, 0], expected)
    np.testing.assert_array_equal(picture(tmp_path, "model", "a"), picture(tmp_path, "bicubic", "a"))


def test_acquired_pairs(tmp_path):
    hr = spots(0, 48, 1)
    pair = {"id": "a", "image": hr, "lr": hr[::4, ::4]}
    model = models.load("bicubic")
    sheets(model, [pair], out=tmp_path / "acquired")
    sheets(model, [pair], out=tmp_path / "made", degradation=model.metadata["degradation"])
    blocks = {name: picture(tmp_path / name, "nearest", "a") for name in ("acquired", "made")}
    assert (blocks["acquired"] != blocks["made"]).any()
    with pytest.raises(ValueError, match="acquired pairs, and a has no LR image"):
        sheets(model, [{"id": "a", "image": hr}], out=tmp_path / "none", degradation="acquired")
    assert not (tmp_path / "none").exists()


def test_sheets_overwrite_nothing(made, tmp_path):
    (tmp_path / "form_anna.csv").write_text("picture,score\n001.png,4\n")
    for out in (made[0], tmp_path, tmp_path / "form_anna.csv"):
        with pytest.raises(
            ValueError, match="new or empty folder.*Received: .*(key.csv.*|form_anna.csv|a file). Name another"
        ):
            sheets(doubled(), examples(), out=out)
    assert (tmp_path / "form_anna.csv").read_text().endswith("4\n")


def test_sheets_need_an_image(tmp_path):
    tiny = {"id": "tiny", "image": spots(9, 12, 1)}
    with pytest.raises(ValueError, match="No image could be scored. tiny: An image must have 16 pixels"):
        sheets(doubled(), [tiny], out=tmp_path / "out", degradation="area")
    with pytest.raises(ValueError, match="There are none"):
        sheets(doubled(), [], out=tmp_path / "out", degradation="area")
    with pytest.raises(ValueError, match="degradation is one of"):
        sheets(doubled(), examples(), out=tmp_path / "out", degradation="none")
    assert not (tmp_path / "out").exists()


# Opinions


def test_two_raters_by_hand(key):
    fill(key / "form_anna.csv", [("1.png", 1), ("2.png", 4), ("3.png", 2), ("4.png", 5)])
    fill(key / "form_ben.csv", [("1.png", 2), ("2.png", 5), ("3.png", 3.5), ("4.png", 5)])
    fill(key / "form.csv", [(f"{n}.png", "") for n in range(1, 5)])
    result = opinions(key)
    assert result["raters"] == ["form_anna", "form_ben"]
    assert (result["pictures"], result["unscored"]) == (4, 0)
    assert list(result["methods"]) == ["a", "b"]
    a, b = result["methods"].values()
    # a: pictures of 1.5 and 2.75; b: of 4.5 and 5.
    assert a["mos"] == (1 + 2 + 2 + 3.5) / 4 == 2.125
    assert b["mos"] == (4 + 5 + 5 + 5) / 4
    # Student's t of one degree of freedom is 12.706; half the difference of two means is their standard error.
    assert a["interval"] == [1, 5]
    assert b["interval"] == [pytest.approx(4.75 - 12.7062 * 0.25, abs=1e-4), 5]
    assert [a[n] for n in ("images", "raters", "scores")] == [2, 2, 4]


def test_the_interval_is_students(tmp_path):
    rng = np.random.default_rng(0)
    scores = rng.integers(2, 5, (3, 30))
    (tmp_path / "key.csv").write_text("picture,id,method\n" + "".join(f"{n}.png,{n},m\n" for n in range(30)))
    for rater, row in enumerate(scores):
        fill(tmp_path / f"form_{rater}.csv", [(f"{n}.png", score) for n, score in enumerate(row)])
    result = opinions(tmp_path)["methods"]["m"]
    means = scores.mean(axis=0)
    assert result["mos"] == pytest.approx(scores.mean())
    np.testing.assert_allclose(result["interval"], stats.ttest_1samp(means, 0).confidence_interval(0.95))


def test_pictures_without_a_score_are_counted(key):
    # As spreadsheets save: byte order mark, CRLF, a column of remarks in another encoding, empty rows and cells.
    rows = ["picture,score,remark", "1.png, 4 ,sch\xf6n", "2.png,,", ",,", "3.png,2,,"]
    (key / "form.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode("latin-1"))
    fill(key / "form_b.csv", [("1.png", 2)])
    result = opinions(key)
    assert result["unscored"] == 2 * 4 - 3
    assert result["methods"] == {
        "a": {"mos": 2.5, "interval": pytest.approx([1, 5]), "images": 2, "raters": 2, "scores": 3}
    }


def test_one_image_has_no_interval_and_equal_scores_a_narrow_one(key):
    fill(key / "form.csv", [("1.png", 4), ("2.png", 3), ("4.png", 3)])
    result = opinions(key)["methods"]
    assert result["a"]["interval"] is None
    assert result["b"]["interval"] == [3, 3]


@pytest.mark.parametrize("score", ["0", "5.1", "good", "nan", "inf", "-3", '"4,5"', "\u0664", "\uff14", "0_4"])
def test_a_score_is_from_1_to_5(score, key):
    fill(key / "form_c.csv", [("1.png", 4), ("2.png", score)])
    with pytest.raises(
        ValueError, match=r"form_c.csv, line 3: A score is a number from 1.*Received: " + score.strip('"')
    ):
        opinions(key)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("1.png", 4), ("9.png", 3)], r"line 3: A picture is one of key.csv. Received: 9.png"),
        ([("1.png", 4), ("2.png", ""), ("1.png", 4)], "line 4: A rater scores a picture once. Received: 1.png again"),
        ([("1.png", "4,5")], "line 2: A row has no more cells than columns. Received: 5 beyond"),
    ],
)
def test_wrong_forms(rows, message, key):
    fill(key / "form_c.csv", rows)
    with pytest.raises(ValueError, match=f"form_c.csv, {message}"):
        opinions(key)


def test_a_form_is_a_table_with_commas(key):
    (key / "form.csv").write_text("picture;score\n1.png;4\n")
    message = "form.csv must have the columns picture and score. Received: picture;score. Save it as CSV, with commas."
    with pytest.raises(ValueError, match=message):
        opinions(key)


@pytest.mark.parametrize("column", ["picture", "score"])
def test_a_column_stands_once(column, key):
    """Of two columns of one name the last would count, without a word."""
    (key / "form.csv").write_text(f"picture,score,{column}\n1.png,4,2\n")
    with pytest.raises(ValueError, match=f"form.csv must have a column once. Received: {column} again. Remove one"):
        opinions(key)
    (key / "form.csv").write_text("picture,score,remark,remark\n1.png,4,,\n")
    assert opinions(key)["methods"]["a"]["mos"] == 4


def test_no_scores_and_no_key(key, made):
    with pytest.raises(ValueError, match="no form holds a score. Fill in form.csv"):
        opinions(key)
    with pytest.raises(ValueError, match="no form holds a score"):
        opinions(made[0])
    with pytest.raises(FileNotFoundError, match="holds no key.csv. Received: a folder of 001.png"):
        opinions(made[0] / "pictures")


def test_sheets_and_forms_fit(made, tmp_path):
    out, _ = made
    (tmp_path / "key.csv").write_bytes((out / "key.csv").read_bytes())
    worth = {"nearest": 2, "bicubic": 3, "lanczos": 3, "model": 4, "original": 5}
    fill(tmp_path / "form_a.csv", [(row["picture"], worth[row["method"]]) for row in table(out / "key.csv")])
    result = opinions(tmp_path)["methods"]
    assert {method: told["mos"] for method, told in result.items()} == worth
    assert list(result) == ["nearest", "bicubic", "lanczos", "model", "original"]


def test_a_picture_counts_once_whoever_left_it_out(key):
    # Pictures 1 and 3 are of method a: ben scores the second alone.
    fill(key / "form_anna.csv", [("1.png", 1), ("3.png", 4)])
    fill(key / "form_ben.csv", [("3.png", 2)])
    method = opinions(key)["methods"]["a"]
    assert (method["mos"], method["scores"]) == ((1 + (4 + 2) / 2) / 2, 3)
