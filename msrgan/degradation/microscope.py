"""A random microscope: what else than sampling goes wrong between a specimen and a low-resolution image.

The errors are the ones that the mSRGAN thesis names (Gawande, TRITA-EECS-EX-2018:10), in the order in which light
meets them. Each has one parameter, a range from which every image draws its own value.
"""

import math

import tensorflow as tf

from msrgan.degradation.bands import reduce

# Name -> (default range, smallest and largest value allowed).
_PARAMETERS = {
    "distortion": ((-0.25, 0.25), (-10, 10)),
    "crosstalk": ((0.0, 0.05), (0, 1)),
    "bleach": ((0.0, 0.3), (0, 0.99)),
    "illumination": ((0.0, 0.2), (0, 1)),
    "motion": ((0.0, 0.5), (0, 100)),
    "psf": ((0.3, 0.7), (0, 100)),
    "gain": ((0.95, 1.05), (0.01, 100)),
    "offset": ((0.0, 0.02), (0, 10)),
    "photons": ((100.0, 1000.0), (1, math.inf)),
    "read": ((1.0, 3.0), (0, 1000)),
}
DEFAULTS = {name: default for name, (default, _) in _PARAMETERS.items()}
LIMITS = {name: limits for name, (_, limits) in _PARAMETERS.items()}
# The largest lengths as fractions of the shorter side of an image: beyond, blur leaves nothing of it, and distortion
# turns its corners inside out.
BLUR = 1 / 2
# Standard deviations beyond which a Gaussian is less than the resolution of float32.
TAIL = 6
_LARGEST = {"distortion": 1 / 4, "motion": BLUR, "psf": BLUR}
NEUTRAL = dict.fromkeys(DEFAULTS, (0.0, 0.0)) | {"gain": (1.0, 1.0), "photons": (math.inf, math.inf)}


def microscope(hr: tf.Tensor, *, scale: int, seed: tf.Tensor, **parameters: tuple[float, float]) -> tf.Tensor:
    """Image through an imperfect microscope and bin by the mean over `scale` x `scale` pixels.

    Each parameter is a range (low, high), drawn from uniformly, once an image; "LR pixels" are `scale` HR pixels:

    - `distortion`, LR pixels: radial displacement in the corners of the image, growing as the third power of the
      distance from its centre; content moves inwards where it is positive.
    - `crosstalk`, fraction: part of a channel that is the mean of its neighbours in the order of the channels (of one
      or two), which for channels in the order of their wavelengths are its spectral neighbours. White stays white.
    - `bleach`, fraction of the fluorescence lost. The image comes back in the units of `hr`, since every image is
      normalised by its own percentiles anyway: bleaching costs photons, not brightness, and is seen as noise.
    - `illumination`, fraction: brightness lost from one side of the image to the other, linearly, in a random
      direction; the mean illumination is 1.
    - `motion`, LR pixels: length of a straight motion blur, in a random direction, about the pixel.
    - `psf`, LR pixels: sigma of the Gaussian point-spread function, not counting what binning blurs.
    - `gain`, factor, and `offset`, intensity: contrast error, by exposure and by stray light.
    - `photons`: detected at intensity 1 by an LR pixel of an unbleached image, which gives Poisson noise; none is
      detected below intensity 0. Infinite photons (`inf`) have no noise, and leave nothing of the read noise.
    - `read`, electrons (one a photon): root mean square of the camera's Gaussian read noise.

    The neutral values (`NEUTRAL`: 0, `gain` 1, `photons` inf) leave `degradation.area`. Blur continues an image
    beyond its border by reflection, distortion by its outermost pixels.

    Args:
        hr: float image (H, W, C) or batch (B, H, W, C), 0 and 1 the ends of the intensity range, values beyond
            allowed; H and W multiples of `scale`.
        scale: reduction factor.
        seed: integers (2,), or (B, 2) for a batch; all that is random is a function of it.
        parameters: ranges, see above; `DEFAULTS` where none is given.

    Returns:
        float32 tensor (..., H/scale, W/scale, C), not clipped.

    Raises:
        ValueError: `distortion` of more than a quarter, `motion` or `psf` of more than half the shorter side of the
            image, where its size is known beforehand.
    """
    hr, seed = tf.convert_to_tensor(hr, tf.float32), tf.cast(seed, tf.int64)
    ranges = DEFAULTS | parameters
    for name, fraction in _LARGEST.items():
        check_length(f"microscope:{name}", max(map(abs, ranges[name])), fraction, hr.shape, scale)
    if hr.shape.rank == 3:
        return _acquire(hr, scale, seed, ranges)
    one = tf.TensorSpec([None if n is None else n // scale for n in hr.shape[1:3]] + [hr.shape[3]], tf.float32)
    return tf.map_fn(lambda image: _acquire(image[0], scale, image[1], ranges), (hr, seed), fn_output_signature=one)


def check_length(option: str, length: float, fraction: float, shape: tf.TensorShape, scale: int) -> None:
    """Check a length against the size of an image.

    Args:
        option: its name, for the message.
        length: LR pixels.
        fraction: of the shorter side of the image that it may have at most.
        shape: of the HR image or batch; a side that is not known beforehand is not checked.
        scale: HR pixels in an LR pixel.

    Raises:
        ValueError: `length` is larger.
    """
    sides = [side // scale for side in shape[-3:-1] if side]
    if sides and length > fraction * min(sides):
        raise ValueError(
            f"{option} is at most {fraction * min(sides):g} for images of {min(sides)} LR pixels a side. "
            f"Received: {length:g}. Use a smaller value or larger images"
        )


def gaussian_matrix(n: int, sigma: float | tf.Tensor) -> tf.Tensor:
    """Make the (n, n) matrix that blurs a column of n pixels by a Gaussian, reflected at both ends.

    Args:
        n: pixels.
        sigma: standard deviation in pixels; 0 gives the unit matrix.
    """
    i = tf.range(tf.cast(n, tf.float32))
    j = i[:, None]
    # A pixel, and its mirror images beyond the first and the last one.
    distances = tf.stack([i - j, i + j + 1, 2 * tf.cast(n, tf.float32) - 1 - i - j])
    weights = tf.reduce_sum(tf.exp(-0.5 * (distances / tf.maximum(sigma, 1e-2)) ** 2), axis=0)
    return weights / tf.reduce_sum(weights, axis=1, keepdims=True)


def motion_kernel(length: float | tf.Tensor, angle: float | tf.Tensor, size: int) -> tf.Tensor:
    """Make the (size, size) kernel, of sum 1, of a straight motion of `length` pixels about the centre.

    Args:
        length: pixels; 0 gives a single 1.
        angle: between the direction and the rows, radians.
        size: odd, `length` + 1 or more.
    """
    steps = 4 * size
    path = length * ((tf.range(steps, dtype=tf.float32) + 0.5) / steps - 0.5)[:, None]
    pixels = tf.range(size, dtype=tf.float32) - size // 2
    # Each point of the path falls on the four pixels around it, by linear interpolation.
    rows, columns = (tf.maximum(1 - tf.abs(pixels - path * d), 0) for d in (tf.sin(angle), tf.cos(angle)))
    return tf.einsum("ty,tx->yx", rows, columns) / steps


def _acquire(image, scale, seed, ranges):
    """Do what `microscope` does with one image (H, W, C)."""
    parameters, poisson, normal = tf.unstack(tf.random.split(seed, 3))
    tilt, direction, *draws = tf.unstack(tf.random.stateless_uniform([2 + len(ranges)], parameters))
    # A single number is not drawn, so that it may be infinite.
    drawn = {
        name: low if low == high else low + (high - low) * u
        for (name, (low, high)), u in zip(ranges.items(), draws, strict=True)
    }

    # What is switched off costs no time.
    if ranges["distortion"] != (0, 0):
        image = _distort(image, drawn["distortion"] * scale)
    if ranges["crosstalk"] != (0, 0):
        image = _mix(image, drawn["crosstalk"])
    if ranges["illumination"] != (0, 0):
        image = image * _gradient(image, drawn["illumination"], 2 * math.pi * tilt)
    if ranges["motion"] != (0, 0):
        size = 2 * math.ceil((ranges["motion"][1] * scale + 1) / 2) + 1
        image = _filter(image, motion_kernel(drawn["motion"] * scale, math.pi * direction, size))
    psf, largest = drawn["psf"] * scale, ranges["psf"][1] * scale
    lr = _blur_and_bin(image, psf, scale, largest) * drawn["gain"] + drawn["offset"]
    if ranges["photons"] == (math.inf, math.inf):
        return lr
    photons = drawn["photons"] * (1 - drawn["bleach"])
    expected = tf.maximum(lr, 0) * photons
    detected = tf.random.stateless_poisson(tf.shape(lr), poisson, expected, tf.float32)
    read = drawn["read"] * tf.random.stateless_normal(tf.shape(lr), normal)
    return lr + (detected - expected + read) / photons


def _blur_and_bin(image, sigma, scale, largest):
    """Blur by a Gaussian of `sigma` HR pixels, at most `largest` of them, and average `scale` x `scale` pixels."""

    def matrix(n):
        blur = gaussian_matrix(n, sigma)
        return tf.reduce_mean(tf.reshape(blur, (n // scale, scale, n)), axis=1)

    return reduce(image, matrix, scale=scale, reach=TAIL * largest + scale)


def _size(image):
    """Return height and width, known beforehand or not."""
    return [known or size for known, size in zip(image.shape[:2], tf.unstack(tf.shape(image)[:2]), strict=True)]


def _grid(image):
    """Return the rows (H, 1) and columns (1, W) of the pixels, measured from the centre."""
    height, width = (tf.cast(n, tf.float32) for n in _size(image))
    return (tf.range(height) - (height - 1) / 2)[:, None], (tf.range(width) - (width - 1) / 2)[None]


def _distort(image, displacement):
    y, x = _grid(image)
    radius = tf.sqrt(y**2 + x**2)
    corner = tf.reduce_max(radius)
    stretch = 1 + displacement * radius**2 / corner**3
    return _sample(image, y * stretch - y[0, 0], x * stretch - x[0, 0])


def _sample(image, rows, columns):
    """Interpolate an image linearly at fractional rows and columns (H, W)."""
    height, width = _size(image)
    top, left = (
        tf.clip_by_value(tf.floor(at), 0, tf.cast(n, tf.float32) - 2) for at, n in ((rows, height), (columns, width))
    )
    down, right = (tf.clip_by_value(at - first, 0, 1)[..., None] for at, first in ((rows, top), (columns, left)))
    first = tf.cast(top, tf.int32) * width + tf.cast(left, tf.int32)
    flat = tf.reshape(image, (-1, image.shape[-1]))
    above = tf.gather(flat, first) * (1 - right) + tf.gather(flat, first + 1) * right
    below = tf.gather(flat, first + width) * (1 - right) + tf.gather(flat, first + width + 1) * right
    return above * (1 - down) + below * down


def _mix(image, fraction):
    channels = image.shape[-1]
    if channels == 1:
        return image
    index = tf.range(channels)
    neighbours = tf.cast(tf.abs(index - index[:, None]) == 1, tf.float32)
    neighbours /= tf.reduce_sum(neighbours, axis=1, keepdims=True)
    return tf.einsum("dc,hwc->hwd", fraction * neighbours + (1 - fraction) * tf.eye(channels), image)


def _gradient(image, fall, angle):
    y, x = _grid(image)
    slope = y * tf.sin(angle) + x * tf.cos(angle)
    return (1 - fall / 2 * slope / tf.reduce_max(tf.abs(slope)))[..., None]


def _filter(image, kernel):
    # Channels are handed over as a batch: faster than a depthwise convolution.
    padded = image
    for axis, n in enumerate(_size(image)):
        padded = tf.gather(padded, _mirrored(n, kernel.shape[0] // 2), axis=axis)
    planes = tf.transpose(padded, (2, 0, 1))[..., None]
    return tf.transpose(tf.nn.conv2d(planes, kernel[..., None, None], 1, "VALID")[..., 0], (1, 2, 0))


def _mirrored(n, border):
    """Return the indices, among n pixels, of these and of a border of any width that reflects them."""
    cycle = tf.range(-border, n + border) % (2 * n)
    return tf.minimum(cycle, 2 * n - 1 - cycle)
