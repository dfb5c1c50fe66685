"""Do objects come out alike? Segmentation by a classical method, and how well two segmentations agree."""

import numpy as np
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, label
from scipy.optimize import linear_sum_assignment
from skimage.filters import threshold_otsu
from skimage.morphology import h_maxima
from skimage.segmentation import relabel_sequential, watershed

MATCHED = 0.5  # least intersection over union of an object and its counterpart


def segment(image: np.ndarray, *, sigma: float = 1, smallest: int = 30, waist: float = 0.75) -> np.ndarray:
    """Find bright objects on a dark background, such as stained nuclei.

    Smoothed by a Gaussian; what is above Otsu's threshold (IEEE Trans. SMC 9(1), 1979) is foreground; its holes are
    filled and small parts are dropped; objects that touch are parted at their waist, by a watershed on the distance to
    the background, from its maxima. Neither the gain nor the offset of the intensities matters. A field without any
    object yields its noise: Otsu's threshold always parts two classes.

    Args:
        image: (H, W), finite, of any range.
        sigma: of the smoothing of the image, and of the distances, in pixels.
        smallest: area, in pixels, that connected foreground has at least.
        waist: by how many pixels the half width of a waist falls short of that of both objects at least.

    Returns:
        int32 (H, W): 0 is background, the objects are 1, 2, ...
    """
    smooth = gaussian_filter(np.asarray(image, np.float64), sigma)
    parts, _ = label(binary_fill_holes(smooth > threshold_otsu(smooth)))
    inside = (np.bincount(parts.ravel())[parts] >= smallest) & (parts > 0)
    # Above the background by the waist at least, even a thin part has a maximum.
    depth = gaussian_filter(distance_transform_edt(inside), sigma) + waist * inside
    maxima, _ = label(h_maxima(depth, waist), np.ones((3, 3)))
    return watershed(-depth, maxima, mask=inside).astype(np.int32)


def agreement(labels: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Compare a segmentation with a reference.

    Two objects match, each with one at the most, if their intersection over union is .5 or more:
    Caicedo et al., Nature Methods 16, 2019 (Data Science Bowl).

    Args:
        labels: int (H, W); 0 is background, each other value an object.
        reference: likewise.

    Returns:
        {"dice": 2 |A and B| / (|A| + |B|) of the two foregrounds, "f1": 2 matches / (objects + objects of the
        reference), "count": objects}. Where both are empty they agree: "dice" and "f1" are 1; where one is, 0.

    Raises:
        ValueError: the shapes differ.
    """
    if labels.shape != reference.shape:
        raise ValueError(f"Segmentations of one shape are compared. Received: {labels.shape} and {reference.shape}")
    overlap = _overlap(labels, reference)
    areas, reference_areas = overlap[1:].sum(axis=1), overlap[:, 1:].sum(axis=0)
    shared = overlap[1:, 1:]
    similar = shared >= MATCHED * (areas[:, None] + reference_areas - shared)
    matches = similar[linear_sum_assignment(similar, maximize=True)].sum()
    return {
        "dice": _ratio(2 * shared.sum(), areas.sum() + reference_areas.sum()),
        "f1": _ratio(2 * matches, len(areas) + len(reference_areas)),
        "count": len(areas),
    }


def _overlap(labels, reference):
    """Count the pixels of each pair of labels: int (objects + 1, objects of the reference + 1), background first."""
    (rows, _, _), (columns, _, _) = (relabel_sequential(np.asarray(x, np.int64)) for x in (labels, reference))
    table = np.zeros((rows.max() + 1, columns.max() + 1), np.int64)
    np.add.at(table, (rows, columns), 1)
    return table


def _ratio(part, whole):
    return float(part / whole) if whole else 1.0
