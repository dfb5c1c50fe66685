import pytest

from msrgan.options_text import parse, render, resolve

DEFAULTS = {"tile": 192, "sigma": 1.0, "photons": (50.0, 500.0), "level": "none"}


def test_values_are_read_as_what_they_are():
    assert parse("bicubic") == ("bicubic", {})
    assert parse("x/y:tile=96,sigma=.5,photons=10..20,level=random") == (
        "x/y",
        {"tile": 96, "sigma": 0.5, "photons": (10.0, 20.0), "level": "random"},
    )


def test_options_take_the_kind_of_their_default():
    assert resolve({"sigma": 2, "photons": 100, "level": 3}, DEFAULTS, of="x") == {
        "tile": 192,
        "sigma": 2.0,
        "photons": (100.0, 100.0),
        "level": "3",
    }


def test_what_is_rendered_is_read_again():
    options = resolve({"sigma": 1 / 3, "photons": 100}, DEFAULTS, of="x")
    assert render("x", options) == "x:tile=192,sigma=0.3333333333333333,photons=100,level=none"
    name, again = parse(render("x", options))
    assert (name, resolve(again, DEFAULTS, of="x")) == ("x", options)
    assert render("bicubic", {}) == "bicubic"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x:sigma", "written name:key=value"),
        ("x:sigma=1,sigma=2", "each once"),
        ("x:photons=5..1", "A range is low..high. Received: 5..1"),
        ("x:width=1", "An option of x is one of tile, sigma, photons, level. Received: width"),
        ("x:tile=1.5", "x:tile is a whole number. Received: 1.5"),
        ("x:sigma=1..2", "x:sigma is a number"),
        ("x:photons=many", "x:photons is a number or a range low..high. Received: many"),
    ],
)
def test_wrong_options_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        name, options = parse(text)
        resolve(options, DEFAULTS, of=name)
