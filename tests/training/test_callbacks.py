import os
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from msrgan.evaluation.film import film
from msrgan.training.callbacks import Report, Samples, TensorBoard, spread
from msrgan.training.loop import Phase


def draw(folder, steps):
    """Leave a picture at each step, the brighter the later."""
    shades = iter(range(0, 256, 4))
    samples = Samples(folder, lambda: np.full((40, 120, 3), next(shades), np.uint8), steps)
    for step in steps:
        samples.on_epoch_end(step, {"step": step})
    return samples


def test_a_long_film_keeps_its_first_and_last_picture(tmp_path):
    draw(tmp_path, range(1, 63))
    film(tmp_path, "film")
    with Image.open(tmp_path / "film.gif") as animation:
        assert animation.n_frames == 60
        shades = []
        for frame in (0, 59):
            animation.seek(frame)
            shades.append(np.asarray(animation.convert("RGB"))[-5, 60].tolist())
    assert shades == [[0, 0, 0], [4 * 61] * 3]


def test_damaged_pictures_are_left_out_of_a_film(tmp_path, caplog):
    samples = draw(tmp_path, range(1, 5))
    whole = samples.path(2).read_bytes()
    samples.path(1).write_bytes(b"no picture")
    samples.path(2).write_bytes(whole[: len(whole) // 2])
    film(tmp_path, "film")
    with Image.open(tmp_path / "film.gif") as animation:
        assert animation.n_frames == 2
    assert "left out of the film: step_0000001.png, step_0000002.png" in caplog.text
    for picture in tmp_path.glob("*.png"):
        picture.write_bytes(b"")
    (tmp_path / "film.gif").unlink()
    film(tmp_path, "film")
    assert not (tmp_path / "film.gif").exists()


def test_a_film_that_cannot_be_written_is_a_warning(tmp_path, caplog):
    draw(tmp_path, [1])
    (tmp_path / "film.gif").mkdir()
    film(tmp_path, "film")
    assert "film.gif: the film cannot be written" in caplog.text


def test_pictures_are_spread_over_the_run():
    assert spread([10]) == {10}
    assert spread([]) == frozenset()
    assert spread([5, 10, 14]) == {5, 10, 14}
    assert spread(range(2, 10_001, 2)) >= {2, 10_000}
    steps = sorted(spread(range(100, 100_001, 100)))
    assert len(steps) == 20
    # 19 gaps of 99,900 / 19 = 5,258 steps, rounded to validations.
    assert set(np.diff(steps)) == {5200, 5300}


def test_a_picture_is_drawn_at_its_steps_only(tmp_path):
    samples = draw(tmp_path, [4])
    samples.on_epoch_end(2, {"step": 8})
    assert [path.name for path in tmp_path.iterdir()] == ["step_0000004.png"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of tensorboard itself
def test_tensorboard_has_every_number_and_the_pictures_there_are(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    samples = draw(tmp_path / "samples", [4])
    board = TensorBoard(tmp_path / "logs", samples.path)
    for step in (4, 8):
        board.on_epoch_end(step, {"phase": "gan", "step": step, "loss": step / 2})
    events = event_accumulator.EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    losses = [(e.step, np.frombuffer(e.tensor_proto.tensor_content, "float32")) for e in events.Tensors("loss")]
    assert losses == [(4, 2.0), (8, 4.0)]
    assert [event.step for event in events.Tensors("sample")] == [4]


def test_how_long_a_phase_will_take_is_told_by_two_calls(said, monkeypatch):
    phases = [Phase("pixel", None, 100), Phase("gan", None, 50)]
    loop = SimpleNamespace(phases=phases, phase=phases[0], total=150)
    report = Report(loop, "fewer filters")
    # The first call of a phase compiles, in 5 and in 60 seconds; then 40 steps take 120, and 2 steps take 20.
    clock = iter([5.0, 45.0, 125.0, 200.0, 210.0, 220.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(os, "isatty", lambda terminal: False)
    for step in (20, 40, 60, 80, 100):
        report.on_train_batch_end(step, {"pixel": 1.0})
    loop.phase = phases[1]
    for step in (101, 102, 103, 104):
        report.on_train_batch_end(step, {"pixel": 1.0})
    assert said.messages == [
        "3 s a step: about 2 min for the 40 steps left of the pixel phase; the next phase takes longer.",
        "10 s a step: about 8 min for the 47 steps left of the gan phase.",
    ]
