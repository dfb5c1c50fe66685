"""Pictures for the eye: the same detail of an image as LR, bicubic, SR and HR, side by side."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from msrgan import intensity

LABELS = ("low resolution", "bicubic", "super-resolved", "original")
_CROP, _SIDE, _TITLE, _GUTTER = 128, 256, 24, 6


def strip(
    lr: np.ndarray, bicubic: np.ndarray, sr: np.ndarray, hr: np.ndarray, *, labels: Sequence[str] = LABELS
) -> np.ndarray:
    """Put the most detailed region of an image side by side in four versions, in equal contrast.

    The region is the window of up to 128x128 HR pixels whose pixels vary most; its intensities from the 0.1
    to the 99.9 percentile in `hr` fill the grey scale of all four panels. LR pixels are shown as squares,
    unless `lr` comes enlarged.

    Args:
        lr: low-resolution image (H/s, W/s, C), or enlarged already (s = 1); any dtype and range, the same for all four.
        bicubic: interpolation of `lr` (H, W, C).
        sr: super-resolved `lr` (H, W, C).
        hr: original (H, W, C). One channel is shown grey, two as red and green, three as red, green and blue, whatever
            they hold; of more, the first three. A picture can show no others.
        labels: four titles, ASCII.

    Returns:
        RGB picture, uint8 (height, width, 3).

    Raises:
        ValueError: the four sizes do not fit together.
    """
    lr, *panels = (np.asarray(image, np.float64) for image in (lr, bicubic, sr, hr))
    hr = panels[-1]
    scale = hr.shape[0] // lr.shape[0]
    lr = lr.repeat(scale, axis=0).repeat(scale, axis=1)
    if any(panel.shape != hr.shape for panel in (lr, *panels)):
        raise ValueError(
            "`bicubic`, `sr` and `hr` must have one shape, a multiple of that of `lr`. "
            f"Received: {[p.shape for p in panels]} and `lr` enlarged {scale} times {lr.shape}"
        )
    shown = details((lr, *panels), hr, scale)
    titled = [_title(panel, label) for panel, label in zip(shown, labels, strict=True)]
    gutter = np.full((titled[0].shape[0], _GUTTER, 3), 255, np.uint8)
    return np.hstack([part for panel in titled for part in (panel, gutter)][:-1])


def details(versions: Iterable[np.ndarray], hr: np.ndarray, step: int = 1) -> list[np.ndarray]:
    """Cut the most varied region of `hr`, on a grid of `step` pixels, out of versions of it; in equal contrast."""
    window = _most_varied(hr, min(_CROP, *hr.shape[:2]), step)
    low, high = intensity.percentiles(hr[window])
    return [_panel(version[window], low.min(), high.max()) for version in versions]


def stack(strips: Sequence[np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """Put strips below each other, each under its caption; uint8 (height, width, 3)."""
    width = max(picture.shape[1] for picture in strips)
    rows = []
    for picture, caption in zip(strips, captions, strict=True):
        padded = np.full((picture.shape[0], width, 3), 255, np.uint8)
        padded[:, : picture.shape[1]] = picture
        rows.append(_title(padded, caption[-width // 9 :]))
    return np.vstack(rows)


def _most_varied(image, side, step):
    """Find the window of side x side pixels of greatest variance, on the grid of LR pixels."""
    grey = image.mean(axis=-1)
    grey = grey - grey.mean()
    mean, square = (cv2.boxFilter(x, cv2.CV_64F, (side, side), anchor=(0, 0)) for x in (grey, grey**2))
    rows, columns = (size - side + 1 for size in grey.shape)
    variance = (square - mean**2)[:rows:step, :columns:step]
    top, left = (int(i) * step for i in np.unravel_index(variance.argmax(), variance.shape))
    return slice(top, top + side), slice(left, left + side)


def _panel(image, low, high):
    grey_levels = np.rint(255 * intensity.normalize(image.clip(low, high), low, high)).astype(np.uint8)
    channels = grey_levels.shape[-1]
    if channels == 1:
        grey_levels = grey_levels.repeat(3, axis=-1)
    elif channels == 2:
        grey_levels = np.dstack([grey_levels, np.zeros_like(grey_levels[..., 0])])
    times = max(1, round(_SIDE / image.shape[1]))
    return grey_levels[..., :3].repeat(times, axis=0).repeat(times, axis=1)


def _title(picture, text):
    bar = np.full((_TITLE, picture.shape[1], 3), 255, np.uint8)
    text = text.encode("ascii", "replace").decode()
    cv2.putText(bar, text, (3, _TITLE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([bar, picture])
