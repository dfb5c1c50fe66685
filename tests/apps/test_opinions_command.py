"""`msrgan opinions`."""

import csv

from conftest import spots

from msrgan import io, models
from msrgan.apps import cli


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def fill(path, scores):
    path.write_text("picture,score\n" + "".join(f"{name},{score}\n" for name, score in scores))


def test_sheets_are_made_and_forms_read(tmp_path, capsys):
    for k in range(2):
        io.write_pixels(tmp_path / "data" / f"{k}.png", spots(k, 48, 1))
    sheets_of = ["opinions", str(tmp_path / "sheets"), "--model", "bicubic", "--data", str(tmp_path / "data")]
    assert cli.main([*sheets_of, "--limit", "1"]) == 0
    assert "5 pictures of 1 images in" in capsys.readouterr().out
    rows = table(tmp_path / "sheets" / "key.csv")
    liked = {"original": 5, "model": 4, "bicubic": 3, "lanczos": 2, "nearest": 1}
    fill(tmp_path / "sheets" / "form_anna.csv", [(row["picture"], liked[row["method"]]) for row in rows])
    assert cli.main(["opinions", str(tmp_path / "sheets")]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "raters form_anna; 5 pictures, 0 scores left out"
    assert [line.split()[:2] for line in lines] == [[name, f"{liked[name]:.2f}"] for name in reversed(liked)]
    assert cli.main(sheets_of[:-2]) == 2
    assert "Sheets show images of --data" in capsys.readouterr().err


def test_as_many_images_as_wanted_are_shown(tmp_path, capsys, monkeypatch):
    examples = [{"id": f"{k}", "image": spots(k, 16, 1)} for k in range(24)]
    monkeypatch.setattr("msrgan.apps.cli.opinions.load", lambda arguments: (models.load("nearest"), iter(examples)))
    command = ["opinions", str(tmp_path / "out"), "--model", "nearest", "--data", "x", "--limit", "21"]
    assert cli.main(command) == 0
    assert "105 pictures of 21 images" in capsys.readouterr().out
    assert {row["id"] for row in table(tmp_path / "out" / "key.csv")} == {f"{k}" for k in range(21)}


def test_the_seed_makes_the_order(tmp_path, monkeypatch):
    examples = [{"id": f"{k}", "image": spots(k, 16, 1)} for k in range(3)]
    monkeypatch.setattr("msrgan.apps.cli.opinions.load", lambda arguments: (models.load("nearest"), iter(examples)))
    orders = []
    for name, options in (("default", []), ("0", ["--seed", "0"]), ("1", ["--seed", "1"])):
        out = tmp_path / name
        assert cli.main(["opinions", str(out), "--model", "nearest", "--data", "x", *options]) == 0
        orders.append([(row["id"], row["method"]) for row in table(out / "key.csv")])
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[1]) == sorted(orders[2])
