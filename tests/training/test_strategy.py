import json

import pytest
import tensorflow as tf

from msrgan.training import strategy
from msrgan.training.strategy import is_chief, steps_per_call, use_xla


@pytest.mark.parametrize(
    ("config", "chief"),
    [
        (None, True),
        ({"cluster": {"chief": ["a:1"], "worker": ["a:2"]}, "task": {"type": "worker", "index": 0}}, False),
        ({"cluster": {"chief": ["a:1"], "worker": ["a:2"]}, "task": {"type": "chief", "index": 0}}, True),
        ({"task": {"type": "worker", "index": 0}}, True),
        ({"task": {"type": "worker", "index": 1}}, False),
    ],
)
def test_one_process_is_the_chief(config, chief, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config:
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert is_chief() is chief


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "3",
        '{"cluster": []}',
        '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:x"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:0"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:70000"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": [7]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": -1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "0"}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"index": 0}}',
        '{"cluster": {"worker": ["a:1"]}}',
    ],
)
def test_a_malformed_cluster_is_refused_by_name(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    for function in (is_chief, strategy.strategy):
        with pytest.raises(ValueError, match="TF_CONFIG must be JSON as .*Received"):
            function()


@pytest.mark.parametrize("gpus", [0, 1, 2])
def test_xla_is_for_one_gpu(gpus, monkeypatch, caplog):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"] * gpus)
    caplog.set_level("INFO", logger="msrgan")
    assert [use_xla(jit, 1) for jit in ("on", "off", "auto")] == [True, False, gpus > 0]
    assert not caplog.text
    assert [use_xla(jit, 2) for jit in ("off", "auto")] == [False, False]
    assert ("XLA, which is for one GPU; there are 2" in caplog.text) == (gpus > 0)
    with pytest.raises(ValueError, match="`jit` is for one replica. Received: on, for 2 replicas"):
        use_xla("on", 2)


@pytest.mark.parametrize(("gpus", "steps"), [(0, 1), (1, 20), (2, 20)])
def test_only_a_gpu_takes_several_steps_at_once(gpus, steps, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"] * gpus if kind == "GPU" else ["cpu"])
    assert steps_per_call() == steps


@pytest.mark.parametrize("kind", ["UnavailableError", "DeadlineExceededError", "CancelledError", "AbortedError"])
def test_workers_that_cannot_connect_are_told_in_one_line(kind, monkeypatch):
    def fail():
        raise getattr(tf.errors, kind)(None, None, "collective\nops")

    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}')
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", fail)
    with pytest.raises(ConnectionError, match="^Another worker is lost .*start all workers again.*checkpoint.$"):
        strategy.strategy()
