"""What every process of a pool begins with. Knows nothing about its work."""

import multiprocessing
import os
import threading


def begin_worker() -> None:
    """
    One thread for torch, because the processes are what runs in parallel; and an end when the process that started
    this one ends, however that is: a pool whose parent was killed would wait for its next job for ever.
    """
    import torch

    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
