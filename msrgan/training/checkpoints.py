"""The checkpoints of a run: its variables by name, and its progress."""

import contextlib
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from msrgan.messages import warn

KEPT = 2  # a damaged one gives way to the one before


def named_variables(model: keras.Model, optimizers: Sequence[keras.optimizers.Optimizer]) -> dict[str, tf.Variable]:
    """Name everything that a run changes: weights, statistics, seeds of dropout, and what the optimizers remember.

    A name does not depend on the order of construction, nor on what else the process has built:
    "generator/stem_conv/kernel", "optimizer1/adam/logit_kernel_momentum". Learning rates are no state but settings,
    which may change where a run goes on.

    Raises:
        ValueError: two variables have one name.
    """
    names: dict[int, tuple[str, tf.Variable]] = {}
    parts = {attribute: part for attribute, part in vars(model).items() if isinstance(part, keras.Layer)}
    for attribute, part in (parts | {"model": model}).items():
        # The innermost layer that has a variable names it: seeds of dropout have numbered names otherwise.
        for layer in reversed(list(part._flatten_layers())):
            for v in layer.variables:
                names.setdefault(
                    id(v), ("/".join([attribute, *([layer.name] if layer is not part else []), v.name]), v)
                )
    for k, optimizer in enumerate(optimizers):
        for v in optimizer.variables:
            owner, _, name = v.path.rpartition("/")
            if name != "learning_rate":
                names.setdefault(id(v), (f"optimizer{k}/{re.sub(r'_[0-9]+$', '', owner)}/{name}", v))
    variables: dict[str, tf.Variable] = {}
    for name, v in names.values():
        if name in variables:
            raise ValueError(f"Variables of a run need names of their own. Received: {name} twice. Name the layers.")
        variables[name] = v.value
    return variables


class Checkpoints:
    """The last two checkpoints in a folder, `ckpt-STEP.*`; which there are, the files themselves tell.

    Args:
        folder: of the checkpoints alone.
        variables: by name.
        progress: saved with them.
    """

    def __init__(self, folder: Path, variables: Mapping[str, tf.Variable], progress: tf.train.experimental.PythonState):
        self.folder, self.variables = Path(folder), dict(variables)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._checkpoint = tf.train.Checkpoint(progress=progress, variables=self.variables)

    @property
    def latest(self) -> Path | None:
        """The last checkpoint, without its suffix."""
        steps = saved_steps(self.folder)
        return self._path(steps[-1]) if steps else None

    def restore(self) -> bool:
        """Take the values of the last checkpoint that can be read; return whether there is one.

        Raises:
            ValueError: there are checkpoints, none of which can be read, or one of other variables.
        """
        steps = saved_steps(self.folder)
        for step in reversed(steps):
            try:
                self._read(self._path(step))
                return True
            except (tf.errors.OpError, IndexError):
                warn(f"{self._path(step)} is damaged and passed over.")  # by a full disk, for instance
        if steps:
            raise ValueError(f"{self.folder}: no checkpoint can be read. Start anew by `resume`, or use another `out`.")
        return False

    def save(self, step: int) -> None:
        """Write a checkpoint, and remove all before the last one.

        Raises:
            OSError: it cannot be written; earlier ones are intact.
        """
        try:
            if not self.folder.is_dir():  # TensorFlow would make it anew, without the rest of the run
                raise FileNotFoundError("the folder is gone")
            self._checkpoint.write(str(self._path(step)))
            for old in saved_steps(self.folder)[:-KEPT]:
                _remove(self.folder.glob(f"ckpt-{old}.*"))
        except (OSError, tf.errors.OpError) as error:
            with contextlib.suppress(OSError):
                self.tidy()
            reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
            kept = f"The last good one is {self.latest}." if self.latest else "There is none before it."
            raise OSError(
                f"{self._path(step)}: the checkpoint cannot be written ({reason.split('; ')[-1]}). {kept}"
            ) from error

    def tidy(self) -> None:
        """Remove what attempts to save that failed have left, or the full disk would stay full.

        They leave `ckpt-STEP_temp` and data without the index, which comes last.
        """
        whole = [rf"ckpt-{step}\.(index|data-.*)" for step in saved_steps(self.folder)]
        _remove(p for p in self.folder.glob("ckpt-*") if not re.fullmatch("|".join(whole) or "$^", p.name))

    def _path(self, step):
        return self.folder / f"ckpt-{step}"

    def _read(self, path):
        reader = tf.train.load_checkpoint(str(path))
        there = _shapes(reader.get_variable_to_shape_map())
        here = {name: tuple(v.shape) for name, v in self.variables.items()}
        differing = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
        if differing and all(name.isdecimal() for name in there):
            raise ValueError(
                f"{path} was written by an earlier version, which gave variables no names. Start anew by `resume`, or "
                "use another `out`."
            )
        if differing:
            name = differing[0]
            raise ValueError(
                f"{path} is of another network, in {len(differing)} variables: {name} is {_told(there.get(name))} "
                f"there and {_told(here.get(name))} here. Go on with the version that began the run, start anew by "
                "`resume`, or use another `out`."
            )
        self._checkpoint.read(str(path)).assert_existing_objects_matched()


def saved_steps(folder: Path) -> list[int]:
    """List the steps of which there is a checkpoint in a folder, the last one last."""
    names = (re.fullmatch(r"ckpt-(\d+)\.index", path.name) for path in Path(folder).glob("ckpt-*.index"))
    return sorted(int(name[1]) for name in names if name)


def _shapes(shapes):
    """Map the names of the variables in a checkpoint to their shapes, from TensorFlow's own names for them."""
    names = {key: re.fullmatch(r"variables/(.*)/\.ATTRIBUTES/VARIABLE_VALUE", key) for key in shapes}
    # TensorFlow writes a slash within a name as ".S" and a dot as "..".
    return {
        re.sub(r"\.(S|\.)", lambda m: {"S": "/", ".": "."}[m[1]], name[1]): tuple(shapes[key])
        for key, name in names.items()
        if name
    }


def _told(shape):
    return "missing" if shape is None else f"of shape {shape}"


def _remove(paths):
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
