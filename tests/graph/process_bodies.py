"""Bodies of steps that runs let work in processes. A module of its own, since a process cannot import a test module."""

import os


def pid(ctx):
    """Tell which process this is."""
    return os.getpid()


def spin(ctx):
    """Tell which process this is, and never give up the processor."""
    ctx.emit(os.getpid())
    while True:
        pass


def spin_once(ctx):
    """Never end in the first attempt, and tell in the second one which process this is."""
    ctx.emit(os.getpid())
    while ctx.attempt == 1:
        pass
    return ctx.attempt, ctx.idempotency_key


def describe(ctx):
    """Tell what the context knows."""
    ctx.emit(ctx.inputs)
    return ctx.inputs, ctx.deps, ctx.attempt, ctx.node_id, ctx.idempotency_key


def ask(ctx):
    """Ask for something that is not there."""
    return getattr(ctx, ctx.inputs)


def fail_at_odd(ctx):
    """Hand even numbers on."""
    if ctx.inputs % 2:
        raise ValueError(ctx.inputs)
    return ctx.inputs


def give_function(ctx):
    """Give what cannot be pickled."""
    return lambda: None


def leave(ctx):
    """End the process."""
    os._exit(3)
