"""``track`` in Python itself: a block, a function, and what a run is told while it goes on.

::

    with track("baseline", lr=0.1) as run:      # a run; its literals, numbers and models
        ...                                     # are recorded as those of a tracked cell

    @track                                      # a run a call: arguments are parameters,
    def train(lr=0.1): ...                      # what it returns are metrics and models

    track.log(loss=0.3, step=7)                 # the run that is open: a tracked cell's, too
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any

from ..errors import UsageError
from ..model.events import CellEvent
from .block import Block, function_results, with_block
from .cellcode import CellCode
from .estimators import stamps
from .hosts import host
from .namespace import Namespace, bound_names
from .options import TrackOptions, parse_tags
from .run import TrackedCell
from .runlog import RunLog, current_log, opened
from .tracker import Running, Tracker
from .warner import describe

__all__ = ["Track", "TrackedBlock", "track"]


class TrackedBlock:
    """One ``track(...)``: a context manager, and a decorator.

    Recording never breaks what it surrounds: what goes wrong is one warning.
    """

    def __init__(self, options: TrackOptions, params: Mapping[str, Any]) -> None:
        self._options = options
        self._params = dict(params)
        self._open: list[_Open] = []

    def __enter__(self) -> RunLog:
        frame = sys._getframe(1)
        begun = _begin(self._options, self._params, "block", with_block(frame))
        if begun.tracker is not None:
            begun.frame = frame
            begun.stamps = stamps(list(frame.f_locals), frame.f_locals)
            begun.before = Namespace(dict(frame.f_locals))
        self._open.append(begun)
        return begun.log

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        begun = self._open.pop()
        frame = begun.frame
        if frame is None:
            _close(begun)
            return
        namespace = dict(frame.f_locals)
        code = begun.block.code
        bound = bound_names(begun.before, namespace, code, hidden={}, finished=error is None)
        _end(begun, namespace, bound, code, error)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make each call of ``function`` a run."""
        if not callable(function):
            raise UsageError(f"track decorates functions, not {function!r}")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                with _Call(function, self._options, self._params, args, kwargs) as call:
                    return call.returned(await function(*args, **kwargs))

            return call_async

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with _Call(function, self._options, self._params, args, kwargs) as tracked:
                return tracked.returned(function(*args, **kwargs))

        return call


class Track:
    """What ``from jupyter_mlops import track`` gives."""

    def __call__(
        self,
        name: str | Callable[..., Any] | None = None,
        *,
        experiment: str | None = None,
        register: str | None = None,
        tags: Mapping[str, str] | None = None,
        models: bool = True,
        **params: Any,
    ) -> Any:
        """Return a context manager and decorator that makes a run; see the module.

        ``name`` names the run, ``params`` are recorded as parameters.  Raises ``UsageError`` for
        what cannot be a name.
        """
        if callable(name):
            return TrackedBlock(TrackOptions(), {})(name)
        options = TrackOptions(
            register=register,
            experiment=experiment,
            name=name,
            tags=parse_tags(tags or {}),
            models=models,
        )
        if register is not None:
            from ..model.registry import check_model_name

            check_model_name(register)
        return TrackedBlock(options, params)

    def log(
        self, values: Mapping[str, Any] | None = None, /, *, step: int | None = None, **more: Any
    ) -> None:
        """Log metrics of the open run; see ``RunLog.log``."""
        self.run.log(values, step=step, **more)

    def param(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Record parameters of the open run."""
        self.run.param(values, **more)

    def tag(self, values: Mapping[str, str] | None = None, /, **more: str) -> None:
        """Set tags of the open run."""
        self.run.tag(values, **more)

    def artifact(self, source: str | os.PathLike[str] | bytes, name: str | None = None) -> None:
        """Keep a file beside the open run."""
        self.run.artifact(source, name)

    def model(self, model: Any, name: str = "model") -> None:
        """Keep a fitted model with the open run."""
        self.run.model(model, name)

    @property
    def run(self) -> RunLog:
        """The open run.  Raises ``UsageError`` when there is none."""
        log = current_log()
        if log is None:
            raise UsageError(
                "no run is open here",
                hint="Put %%track at the top of the cell, or use `with track():`.",
            )
        return log

    def __repr__(self) -> str:
        log = current_log()
        return "track: no run is open" if log is None else f"track: run {log.run_id} is open"


track = Track()


class _Open:
    """A block or call that runs; without a ``tracker`` it is not recorded."""

    def __init__(self, log: RunLog, block: Block) -> None:
        self.log = log
        self.block = block
        self.tracker: Tracker | None = None
        self.running: Running | None = None
        self.options = TrackOptions()
        self.warnings: list[str] = []
        self.watch: Any = None
        self.frame: FrameType | None = None
        self.stamps: Mapping[str, object] = {}
        self.before = Namespace({})
        self.started = time.time()
        self.clock = time.perf_counter()
        self.stack = contextlib.ExitStack()


class _Call:
    """One call of a decorated function."""

    def __init__(
        self,
        function: Callable[..., Any],
        options: TrackOptions,
        params: Mapping[str, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._function = function
        self._values: dict[str, Any] = {}
        if options.name is None:
            from dataclasses import replace

            options = replace(options, name=getattr(function, "__name__", None))
        self._begun = _begin(options, params, "function", Block.of_function(function))
        with contextlib.suppress(TypeError, ValueError):  # The call itself says what is wrong.
            arguments = inspect.signature(function).bind(*args, **kwargs)
            arguments.apply_defaults()
            self._note_arguments(arguments.arguments)

    def __enter__(self) -> _Call:
        return self

    def returned(self, value: Any) -> Any:
        """Note what the function returns, and return it."""
        with contextlib.suppress(Exception):  # the person's own objects
            self._values = function_results(self._function, value)
        return value

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        code = CellCode(kinds={name: {"value"} for name in self._values})
        _end(self._begun, self._values, tuple(self._values), code, error)

    def _note_arguments(self, arguments: Mapping[str, Any]) -> None:
        plain = (bool, int, float, str, type(None))
        for name, value in arguments.items():
            flat = isinstance(value, (list, tuple)) and all(isinstance(v, plain) for v in value)
            if isinstance(value, plain) or (flat and len(value) <= 200):
                self._begun.log.param({name: list(value) if isinstance(value, tuple) else value})


def _begin(options: TrackOptions, params: Mapping[str, Any], kind: str, block: Block) -> _Open:
    try:
        tracker = host()
        warnings: list[str] = []
        running = tracker.begin(options, warnings, kind=kind)
    except Exception as error:
        host().warn(f"this run is not recorded: {describe(error)}")
        begun = _Open(RunLog("", ""), block)
    else:
        begun = _Open(running.log, block)
        begun.tracker, begun.running, begun.warnings = tracker, running, warnings
        begun.options = options
        begun.watch = tracker.probes.begin(
            running, tracker.session, block.python, block.code, {}, outputs=False
        )
    begun.stack.enter_context(opened(begun.log))
    begun.log.param(params)
    return begun


def _close(begun: _Open) -> None:
    if begun.tracker is not None and begun.watch is not None:
        begun.tracker.probes.stop(begun.watch)
    begun.stack.close()


def _end(
    begun: _Open,
    namespace: dict[str, Any],
    bound: tuple[str, ...],
    code: CellCode | None,
    error: BaseException | None,
) -> None:
    seconds = time.perf_counter() - begun.clock
    _close(begun)
    tracker, running = begun.tracker, begun.running
    if tracker is None or running is None:
        return
    interrupted = isinstance(error, (KeyboardInterrupt, GeneratorExit))
    clean_exit = isinstance(error, SystemExit) and error.code in (None, 0)
    failed = error is not None and not clean_exit
    try:
        event = CellEvent(
            session=running.started.session,
            seq=0,
            source=begun.block.source,
            started=begun.started,
            ended=begun.started + seconds,
            status="interrupted" if interrupted else "error" if failed else "ok",
            bound=bound,
            error={"ename": type(error).__name__, "evalue": str(error)[:2000]} if failed else None,
        )
        tracker.end(
            TrackedCell(
                started=running.started,
                event=event,
                options=begun.options,
                python=begun.block.python,
                code=code,
                namespace=namespace,
                stamps=begun.stamps,
                warnings=tuple(begun.warnings),
                tags=running.tags,
                log=begun.log,
                seen=tracker.see(begun.watch, running, event, begun.block.python, namespace),
            ),
            note=False,
            live=running.live,
        )
    except Exception as problem:
        tracker.warn(f"this run was not recorded: {describe(problem)}")
    finally:
        tracker.settle(begun.watch, running)
