"""`msrgan datasets`: list the image sets, prepare one."""

from typing import Any

from msrgan.messages import import_tensorflow, say


def add_command(commands: Any) -> None:
    """Add the command to those of `msrgan`."""
    parser = commands.add_parser("datasets", help="list the image sets", description=_datasets.__doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help="tell all about this set (default: list all)")
    parser.add_argument("--prepare", action="store_true", help="prepare NAME, NAME/CONFIG or NAME:OPTION=VALUE,...")
    parser.add_argument("--manual-dir", help="raw files of the set to prepare")
    parser.add_argument("--data-dir", help="where prepared copies live (default: ~/tensorflow_datasets)")
    parser.set_defaults(run=_datasets)


def _datasets(arguments):
    """List the image sets: where they come from, licence, citation, whether they are prepared."""
    import_tensorflow()
    from msrgan import datasets
    from msrgan.datasets import catalog

    if not arguments.name:
        if arguments.prepare:
            raise ValueError("--prepare needs the NAME of a set. `msrgan datasets` lists them.")
        say(catalog.overview(arguments.data_dir))
        return
    catalog.name_of(arguments.name)
    if arguments.prepare:
        datasets.load(arguments.name, "train", manual_dir=arguments.manual_dir, data_dir=arguments.data_dir)
    say(catalog.details(arguments.name, arguments.data_dir))
