"""The card of a model that ships, as text: Markdown, for docs/models.md and for the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Card = Mapping[str, Any]


def line(card: Card) -> str:
    """Tell on one line what a model is for."""
    size = f"x{card['scale']}, " if "scale" in card else ""
    return f"{size}{_channels(card['channels'])}: {card['purpose']}"


def page(card: Card) -> str:
    """Tell all about a model.

    Args:
        card: from `zoo.card`; `recipes/pack.py` says what is in it.
    """
    parts = [
        f"# {card['name']}",
        f"{line(card)}.",
        f"Network: {card['network']}, {card['parameters']:,} parameters, {card['bytes'] / 1e6:.1f} MB.",
        _table(("trained on", "images", "from", "licence"), map(_trained_on, card["sources"])),
        _training(card),
        _scores(card),
        _before_gan(card),
        "What it cannot do:",
        "\n".join(f"- {limit}" for limit in card["limits"]),
        f"Licence of the weights: {card['licence']}. Fingerprint: {card['fingerprint']}.",
    ]
    return "\n\n".join(part for part in parts if part)


def _channels(number: int) -> str:
    return {1: "one channel", 3: "RGB"}[number]


def _trained_on(source: Mapping[str, Any]) -> tuple[str, ...]:
    numbers = f"{source['train']}" + (f", {source['validate']} to validate" if source["validate"] else "")
    return source["title"], numbers, f"{source['citation']}; {source['url']}", source["licence"]


def _training(card: Card) -> str:
    training, coarse = card["training"], ""
    if "degradation" in card:
        coarse = f" Its coarse images were made by `{card['degradation']}`"
        if "pixel_size_um" in card:
            low, high = card["pixel_size_um"]
            coarse += f", with pixels of {low:g} to {high:g} µm, as far as known"
        coarse += "."
    return (
        f"Trained on {training['date']} by `{training['command']}` ({training['steps']:,} steps, "
        f"{training['processor_hours']:.1f} hours of one processor core).{coarse}"
    )


def _scores(card: Card) -> str:
    if "accuracy" in card:
        return card["accuracy"]
    titles = ("held out", "images", "coarse by", "bicubic dB", "Lanczos dB", "this model dB", "gain dB, 95 %")
    titles += ("SSIM: bicubic, model", "images better", "brightness kept to")
    return _table(titles, map(_score, card["scores"]))


def _score(score: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = score["interval"] or (None, None)
    interval = "" if low is None else f" [{low:+.2f}, {high:+.2f}]"
    psnr, ssim = score["psnr"], score["ssim"]
    return (
        score["title"],
        str(score["images"]),
        score["degradation"],
        *(f"{psnr[method]:.2f}" for method in ("bicubic", "lanczos", "model")),
        f"{score['gain']:+.2f}{interval}",
        f"{ssim['bicubic']:.3f}, {ssim['model']:.3f}",
        f"{score['better']:.0%}",
        f"{score['brightness']:.2%}",
    )


def _before_gan(card: Card) -> str:
    """Compare a generator with what it was before its GAN, where it had one."""
    titles = ("what the GAN changed", "coarse by", "dB before", "dB after", "SSIM before", "SSIM after")
    rows = []
    for score in card.get("scores", ()):
        if before := score.get("before_gan"):
            decibels = (f"{of:.2f}" for of in (before["psnr"], score["psnr"]["model"]))
            similarity = (f"{of:.3f}" for of in (before["ssim"], score["ssim"]["model"]))
            rows.append((score["title"], score["degradation"], *decibels, *similarity))
    return _table(titles, rows) if rows else ""


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
