"""Side-by-side timing: contestants take turns, so that what else the machine does hits all of them alike."""

import statistics
import time


def take_turns(contestants, repetitions, clock=time.perf_counter):
    """Call every function once a round and return the median seconds of each.

    Args:
        contestants: dict name -> function without arguments; it returns when its work is done.
        repetitions: number of rounds after two that do not count.
        clock: returns seconds; `time.process_time` counts those of this process alone.

    Returns:
        Dict name -> (median, minimum) in seconds.
    """
    seconds = {name: [] for name in contestants}
    for _ in range(2 + repetitions):
        for name, function in contestants.items():
            start = clock()
            function()
            seconds[name].append(clock() - start)
    return {name: (statistics.median(s[2:]), min(s[2:])) for name, s in seconds.items()}
