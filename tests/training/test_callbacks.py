import numpy as np
from PIL import Image

from msrgan.evaluation.film import film
from msrgan.training.callbacks import Samples


def test_a_long_film_keeps_its_first_and_last_picture(tmp_path):
    drawn = iter(range(62))
    samples = Samples(
        tmp_path, lambda: np.full((40, 120, 3), 4 * next(drawn), np.uint8), lambda: film(tmp_path, "film")
    )
    for step in range(1, 63):
        samples.on_epoch_end(step, {"step": step})
    samples.on_train_end()
    with Image.open(tmp_path / "film.gif") as animation:
        assert animation.n_frames == 60
        shades = []
        for frame in (0, 59):
            animation.seek(frame)
            shades.append(np.asarray(animation.convert("RGB"))[-5, 60].tolist())
    assert shades == [[0, 0, 0], [4 * 61] * 3]
