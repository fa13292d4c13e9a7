"""The garbage collector of a process that lives long."""

import gc


def spare_what_is_there() -> None:
    """For the end of start-up. What is imported stays for good: out of the collector's rounds, which else take a tenth of a
    busy process's time, and left alone in the memory that parent and children share. Requests and batches make thousands
    of objects that are not garbage yet, so it looks less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
