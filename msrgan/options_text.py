"""Names with options, as the command line takes them: `gaussian:sigma=2`, `microscope:photons=50..500,motion=0`.

The same text names a degradation or an image set in a command, in config.json and in a model's metadata.
"""

from typing import Any


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Split `name:key=value,key=value` into the name and its options.

    Returns:
        The name and a dict; a value is an int or a float where it reads as one, a pair of floats where it reads
        as a range `low..high`, else a str.

    Raises:
        ValueError: an option has no `=` or occurs twice, or a range is empty.
    """
    name, _, rest = str(text).partition(":")
    options = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key or key in options:
            raise ValueError(f"Options are written name:key=value,key=value, each once. Received: {text}.")
        options[key] = _value(value)
    return name, options


def resolve(given: dict[str, Any], defaults: dict[str, Any], *, of: str) -> dict[str, Any]:
    """Complete options by their defaults, each in the kind of its default.

    A number is taken for a range where the default is one, and a whole number for a float.

    Args:
        given: from `parse`.
        defaults: every option there is: int, float, str, or a pair of floats.
        of: whose options they are, for the message.

    Raises:
        ValueError: an option is unknown or of another kind.
    """
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        known = f"one of {', '.join(defaults)}" if defaults else "none"
        raise ValueError(f"An option of {of} is {known}. Received: {unknown[0]}.")
    return {
        key: _as(given[key], default, f"{of}:{key}") if key in given else default for key, default in defaults.items()
    }


def render(name: str, options: dict[str, Any]) -> str:
    """Write what `parse` reads."""
    written = ",".join(f"{key}={_written(value)}" for key, value in options.items())
    return f"{name}:{written}" if written else name


def _value(text):
    low, dots, high = text.partition("..")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if dots:
        try:
            pair = float(low), float(high)
        except ValueError:
            return text
        if pair[0] <= pair[1]:
            return pair
        raise ValueError(f"A range is low..high. Received: {text}.")
    return text


def _as(value, default, name):
    number = isinstance(value, int | float)
    if isinstance(default, tuple) and (number or isinstance(value, tuple)):
        return value if isinstance(value, tuple) else (float(value), float(value))
    if isinstance(default, str):
        return _written(value)
    if isinstance(default, float) and number:
        return float(value)
    if type(value) is type(default):
        return value
    kinds = {int: "a whole number", float: "a number", tuple: "a number or a range low..high"}
    raise ValueError(f"{name} is {kinds[type(default)]}. Received: {value}.")


def _written(value):
    if isinstance(value, tuple):
        low, high = map(_written, value)
        return low if low == high else f"{low}..{high}"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
