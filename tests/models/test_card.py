"""The card of a model: every field is checked."""

import json

import pytest

from msrgan.models import card

GOOD = {
    "scale": 4,
    "channels": 1,
    "receptive_radius": 12,
    "normalization": "percentile",
    "percentiles": [0.1, 99.9],
    "degradation": "gaussian:sigma=0.7",
    "training_hashes": ["0123456789abcdef" * 4],
    "version": "0.2.0",
    "fingerprint": "0123456789abcdef" * 4,
    "interrupted": True,
    "steps": 300,
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scale": 8, "channels": 1024, "receptive_radius": 0, "normalization": "range", "degradation": "acquired"},
        {"percentiles": [0, 100], "training_hashes": [], "interrupted": False, "anything": {"more": [None]}},
    ],
)
def test_good_cards_are_read_as_they_were_written(changes, tmp_path):
    (tmp_path / "msrgan.json").write_text(json.dumps(GOOD | changes))
    assert card.read(tmp_path) == GOOD | changes


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("scale", True, "a whole number from 2 to 8. Received: True"),
        ("scale", 4.0, "a whole number from 2 to 8. Received: 4.0"),
        ("scale", "4", "a whole number"),
        ("scale", 1, "a whole number"),
        ("scale", 9, "a whole number"),
        ("channels", True, "a whole number from 1 to 1024. Received: True"),
        ("channels", None, "a whole number"),
        ("channels", 0, "a whole number"),
        ("receptive_radius", False, "a whole number from 0 to 4096. Received: False"),
        ("receptive_radius", -1, "a whole number"),
        ("receptive_radius", 10**30, "a whole number"),
        ("normalization", "zscore", "one of percentile, range. Received: 'zscore'"),
        ("normalization", ["percentile"], "one of percentile, range"),
        ("percentiles", [99.9, 0.1], "two numbers .*0 <= low < high <= 100. Received: .99.9, 0.1."),
        ("percentiles", [50, 50], "two numbers"),
        ("percentiles", [0, float("inf")], "two numbers"),
        ("percentiles", [float("nan"), 50], "two numbers"),
        ("percentiles", [-0.1, 50], "two numbers"),
        ("percentiles", [1, 100.5], "two numbers"),
        ("percentiles", [False, True], "two numbers"),
        ("percentiles", [0.1], "two numbers"),
        ("percentiles", {"0": 1, "1": 2}, "two numbers"),
        ("degradation", "fog", "a text for degradation.make, or acquired. Received: 'fog'"),
        ("degradation", "gaussian:sigma=-1", "a text for degradation.make"),
        ("degradation", ["bicubic"], "a text for degradation.make"),
        ("training_hashes", "ab", "a list of hexadecimal texts"),
        ("training_hashes", [12], "a list of hexadecimal texts"),
        ("training_hashes", ["xyz"], "a list of hexadecimal texts"),
        ("training_hashes", ["a" * 129], "a list of hexadecimal texts"),
        ("version", 2, "a text. Received: 2"),
        ("fingerprint", "ab", "64 hexadecimal digits. Received: 'ab'"),
        ("fingerprint", 7, "64 hexadecimal digits"),
        ("interrupted", 1, "true or false. Received: 1"),
    ],
)
def test_wrong_fields_are_named(field, value, rule, tmp_path):
    with pytest.raises(ValueError, match=f"msrgan.json: {field} is {rule}") as error:
        card.check(GOOD | {field: value}, tmp_path / "msrgan.json")
    assert str(error.value).endswith("Export the model again") and "\n" not in str(error.value)


@pytest.mark.parametrize("field", sorted(set(GOOD) - {"version", "fingerprint", "interrupted", "steps"}))
def test_fields_that_lack_are_named(field, tmp_path):
    with pytest.raises(ValueError, match=f"msrgan.json: {field} lacks"):
        card.check({key: value for key, value in GOOD.items() if key != field}, tmp_path / "msrgan.json")


def test_a_trained_model_is_no_interpolation(tmp_path):
    """Bicubic interpolation would be scored in its place."""
    with pytest.raises(ValueError, match="has no field interpolation"):
        card.check(GOOD | {"interpolation": "bicubic"}, tmp_path / "msrgan.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", r"is one JSON object. Received: \[\]"),
        (b'[{"scale": 4}]', "is one JSON object"),
        (b"null", "is one JSON object. Received: None"),
        (b'{"scale": 4', "cannot be read"),
        (b"", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[" * 100_000, "cannot be read .brackets in brackets, too deep"),
        (b'{"scale": ' + b"9" * 5000 + b"}", "cannot be read"),
        (b'{"scale": {"scale": {"scale": 4}}}', "scale is a whole number"),
    ],
)
def test_files_that_are_no_cards(content, message, tmp_path):
    (tmp_path / "msrgan.json").write_bytes(content)
    with pytest.raises(ValueError, match=f"msrgan.json:? {message}") as error:
        card.read(tmp_path)
    assert len(str(error.value)) < 400 + len(str(tmp_path)) and "\n" not in str(error.value)


def test_a_huge_file_is_not_read(tmp_path):
    with open(tmp_path / "msrgan.json", "wb") as file:
        file.truncate(card.LARGEST_FILE + 1)
    with pytest.raises(ValueError, match="cannot be read .it has 67108865 bytes, at most 67108864 are read"):
        card.read(tmp_path)
