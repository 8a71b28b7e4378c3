"""Which calls are made to fail, where and how."""
import collections

# Calls that change files or lock them, and how each fails: first what the test command tries.
CHANGING = {
    "write": ["ENOSPC", "short", "EIO", "EINTR", "EDQUOT", "ENOSPC+"],
    "pwrite": ["ENOSPC", "short", "EIO", "EINTR", "EDQUOT", "ENOSPC+"],
    "fsync": ["EIO", "ENOSPC", "EINTR"],
    "fdatasync": ["EIO", "ENOSPC"],
    "rename": ["EIO", "EINVAL", "ENOSPC"],
    "link": ["EIO", "ENOSPC"],
    "unlink": ["EIO", "EROFS"],
    "mkdir": ["ENOSPC", "EACCES"],
    "ftruncate": ["EIO", "EINTR"],
    "fallocate": ["ENOSPC", "EINTR", "EOPNOTSUPP", "EIO"],
    "close": ["EIO", "ENOSPC", "EINTR"],
    "flock": ["ENOLCK", "EINTR"],
}
OTHER = {
    "open": ["EMFILE", "EIO", "EACCES", "EINTR"],
    "mmap": ["ENOMEM"],
    "madvise": ["EFAULT", "ENOMEM", "EAGAIN", "EINVAL"],
    "read": ["EIO", "short", "EINTR", "EIO+"],
    "pread": ["EIO", "short", "EINTR"],
    "readdir": ["EIO"],
    "stat": ["EIO", "EACCES"],
    "malloc": ["ENOMEM", "ENOMEM+"],
    "stdout": ["ENOSPC"],
}
# How many of these the test command tries, where it is not one.
QUICK_ERRORS = {"write": 2, "pwrite": 2, "rename": 2}
ALL_POSITIONS = {*CHANGING, "mmap", "madvise", "stdout"}

Position = collections.namedtuple("Position", "command call error at")


def powers_of_two(count):
    at = 1
    while at <= count:
        yield at
        at *= 2


def spread(count, limit):
    """All of 1 to count, or `limit` of them evenly spread."""
    if count <= limit:
        return list(range(1, count + 1))
    return sorted({1 + i * (count - 1) // (limit - 1) for i in range(limit)})


def quick(command, counts):
    """What fits into the test command: a few minutes for all commands."""
    for call, errors in {**CHANGING, **OTHER}.items():
        count = counts.get(call, 0)
        first = range(1, min(40, count) + 1)
        # The processes of cells do what `run` does.
        thorough = call in CHANGING and command != "cells"
        positions = first if thorough else list(powers_of_two(count))
        for error in errors[:QUICK_ERRORS.get(call, 1)]:
            yield from (Position(command, call, error, at) for at in positions)


def full(command, counts):
    """Every call that changes files, and 1,000 positions of each other kind."""
    for call, errors in {**CHANGING, **OTHER}.items():
        count = counts.get(call, 0)
        positions = spread(count, count if call in ALL_POSITIONS else 1000)
        for error in errors:
            yield from (Position(command, call, error, at) for at in positions)
