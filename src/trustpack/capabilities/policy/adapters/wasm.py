"""The embedded engine: modules made by OPA's own compiler, run by wasmtime under a deadline and a memory cap.

Source: research/policy "Decision on the embedded engine"; ADR-0008. A store is not thread-safe, so every worker thread has its
own instance of every module; an instance that failed is thrown away, because a trapped heap is not to be reused.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from wasmtime import (
    Config,
    Engine,
    Func,
    FuncType,
    Instance,
    Limits,
    Memory,
    MemoryType,
    Module,
    Store,
    Trap,
    TrapCode,
    WasmtimeError,
)

from trustpack.capabilities.policy.model import (
    BundleInvalid,
    BundleRef,
    EngineCrashed,
    EngineIdentity,
    EngineTimeout,
    InputRejected,
    MalformedDecision,
    PolicyBundle,
    PolicyError,
    PolicyEvaluationError,
    PolicyUndefined,
)
from trustpack.capabilities.policy.rules.documents import MAX_JSON_BYTES, parse_json
from trustpack.kernel.json_types import JsonValue

DEADLINE_SECONDS: Final = 0.15
"""How long one answer may take, waiting for a free worker included: some 500 times the usual answer."""

WORKERS: Final = 2
"""Threads that evaluate. Wasm runs without the interpreter lock, so two keep answering while one meets its deadline."""

MEMORY_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""Most memory of one instance: a usual answer needs less than one mebibyte."""

TICK_SECONDS: Final = 0.01
"""How precisely a running evaluation is stopped: a hundred wake-ups a second cost nothing measurable."""

INLINE_TICKS: Final = 2
"""How long an evaluation may hold up the event loop, 20 ms at most, before it is begun again in a thread."""

PAGE_BYTES: Final = 64 * 1024
_FIRST_READ_BYTES: Final = 1024
_OUT_OF_MEMORY: Final = "opa_malloc"
_EMPTY_INPUT: Final = b"{}"


class _Aborted(Exception):
    """The module called `opa_abort`."""


class EmbeddedEngine:
    """Answers from the Wasm modules of verified bundles. Implements `PolicyEngine`.

    Raises `BundleInvalid` when made from a module that lacks its entrypoint or needs functions of the host: such a policy
    would answer differently here and in a real OPA. Making it compiles each module, 0.2 s apiece.
    """

    def __init__(
        self, bundles: Sequence[PolicyBundle], *, deadline_seconds: float = DEADLINE_SECONDS, workers: int = WORKERS
    ) -> None:
        config = Config()
        config.epoch_interruption = True
        self._engine = Engine(config)
        self._deadline_seconds = deadline_seconds
        self._ticks = math.ceil(deadline_seconds / TICK_SECONDS) + 1
        self._programs = {bundle.package: _Program(self._engine, bundle, ticks=self._ticks) for bundle in bundles}
        versions = sorted({bundle.opa_version for bundle in bundles})
        self._identity = EngineIdentity("opa-wasm", f"{'/'.join(versions)} wasmtime {importlib.metadata.version('wasmtime')}")
        self._local = threading.local()
        self._stopped = threading.Event()
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="policy")
        threading.Thread(target=self._tick, name="policy-epoch", daemon=True).start()

    @property
    def identity(self) -> EngineIdentity:
        return self._identity

    def bundle(self, package: str) -> BundleRef:
        return self._program(package).bundle.ref

    async def evaluate(self, package: str, input_bytes: bytes) -> JsonValue:
        """Answer at once on the event loop, or in a worker thread if it takes unusually long."""
        program = self._program(package)
        if len(input_bytes) > MAX_JSON_BYTES:
            raise InputRejected(f"longer than {MAX_JSON_BYTES} bytes", rule="size")
        if self._stopped.is_set():
            raise EngineCrashed("the engine is closed")
        inline_ticks = min(INLINE_TICKS, self._ticks)
        try:
            # A usual answer takes a fifth of a millisecond, less than it costs to hand it to a thread and back.
            return read_result_set(self._evaluate(program, input_bytes, inline_ticks))
        except EngineTimeout:
            if inline_ticks == self._ticks:
                raise
        return await self._evaluate_apart(program, input_bytes)

    async def _evaluate_apart(self, program: _Program, input_bytes: bytes) -> JsonValue:
        """Begin again in a thread, with what is left of the deadline: what is unusual must not hold up the loop."""
        ticks = self._ticks - INLINE_TICKS
        try:
            future = asyncio.get_running_loop().run_in_executor(self._executor, self._evaluate, program, input_bytes, ticks)
        except RuntimeError as error:
            raise EngineCrashed("the engine is closed") from error
        try:
            # Unlike asyncio.timeout this never discards an answer that came in time while the loop was busy.
            await asyncio.wait((future,), timeout=self._deadline_seconds - INLINE_TICKS * TICK_SECONDS)
        finally:
            future.cancel()
        if future.cancelled():
            raise EngineTimeout(f"no answer within {self._deadline_seconds} s")
        return read_result_set(future.result())

    async def health(self) -> None:
        for package in self._programs:
            await self.evaluate(package, _EMPTY_INPUT)

    async def close(self) -> None:
        # The ticker outlives the workers: it is what ends an evaluation that does not end by itself.
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
        self._stopped.set()

    def _tick(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            self._engine.increment_epoch()

    def _program(self, package: str) -> _Program:
        program = self._programs.get(package)
        if program is None:
            raise PolicyUndefined(f"no bundle holds the package {package}")
        return program

    def _evaluate(self, program: _Program, input_bytes: bytes, ticks: int) -> bytes:
        """Run on an instance that only this thread uses, for so many ticks at most."""
        instances: dict[str, _ModuleInstance] = self._local.__dict__.setdefault("instances", {})
        instance = instances.pop(program.bundle.package, None)
        try:
            instance = instance or program.instantiate(ticks=self._ticks)
            answer = instance.evaluate(input_bytes, ticks=ticks)
        except Exception as error:
            raise _named(error) from error
        instances[program.bundle.package] = instance
        return answer


class _Program:
    """One compiled bundle, proven to be runnable."""

    def __init__(self, engine: Engine, bundle: PolicyBundle, *, ticks: int) -> None:
        self.bundle = bundle
        self._engine = engine
        self._entrypoint = 0
        try:
            self._module = Module(engine, bundle.wasm)
            first = self.instantiate(ticks=ticks)
            needed, entrypoints = first.host_builtins(), first.entrypoints()
        except (WasmtimeError, Trap, _Aborted, KeyError, TypeError, ValueError) as error:
            raise BundleInvalid(f"the module of {bundle.ref.name} cannot be used: {type(error).__name__}: {error}") from error
        if needed:
            raise BundleInvalid(f"the module of {bundle.ref.name} needs functions of the host: {', '.join(sorted(needed))}")
        if bundle.entrypoint not in entrypoints:
            raise BundleInvalid(f"the module of {bundle.ref.name} has no entrypoint {bundle.entrypoint}")
        self._entrypoint = entrypoints[bundle.entrypoint]

    def instantiate(self, *, ticks: int) -> _ModuleInstance:
        return _ModuleInstance(self._engine, self._module, entrypoint=self._entrypoint, ticks=ticks)


class _ModuleInstance:
    """One instance of a module with its own memory, for one thread. Source: OPA documentation, "WebAssembly", ABI 1.3."""

    def __init__(self, engine: Engine, module: Module, *, entrypoint: int, ticks: int) -> None:
        self._store = Store(engine)
        self._store.set_limits(memory_size=MEMORY_LIMIT_BYTES)
        self._store.set_epoch_deadline(ticks)
        self._memory = Memory(self._store, MemoryType(Limits(2, None)))
        self._exports = Instance(self._store, module, self._imports(module)).exports(self._store)
        self._entrypoint = entrypoint
        self._opa_eval = self._function("opa_eval")
        address = self._call("opa_malloc", len(_EMPTY_INPUT))
        self._memory.write(self._store, _EMPTY_INPUT, address)
        self._data = self._call("opa_json_parse", address, len(_EMPTY_INPUT))
        self._heap = self._call("opa_heap_ptr_get")

    def evaluate(self, input_bytes: bytes, *, ticks: int) -> bytes:
        """Return the JSON text of the result set."""
        self._store.set_epoch_deadline(ticks)
        end = self._heap + len(input_bytes)
        missing = end - self._memory.data_len(self._store)
        if missing > 0:
            self._memory.grow(self._store, math.ceil(missing / PAGE_BYTES))
        self._memory.write(self._store, input_bytes, self._heap)
        return self._text_at(self._opa_eval(self._store, 0, self._entrypoint, self._data, self._heap, len(input_bytes), end, 0))

    def host_builtins(self) -> Mapping[str, int]:
        """Return the functions that the policy would call outside the module."""
        return self._map("builtins")

    def entrypoints(self) -> Mapping[str, int]:
        """Return the number of each entrypoint by its path."""
        return self._map("entrypoints")

    def _map(self, export: str) -> Mapping[str, int]:
        numbers: Mapping[str, int] = json.loads(self._text_at(self._call("opa_json_dump", self._call(export))))
        return numbers

    def _call(self, export: str, *arguments: int) -> int:
        result: int = self._function(export)(self._store, *arguments)
        return result

    def _function(self, export: str) -> Func:
        function = self._exports[export]
        if not isinstance(function, Func):
            raise TypeError(f"the export {export} is no function")
        return function

    def _text_at(self, address: int) -> bytes:
        """Read up to the closing NUL, at most `MAX_JSON_BYTES`."""
        for length in (_FIRST_READ_BYTES, MAX_JSON_BYTES + 1):
            text, found, _ = bytes(self._memory.read(self._store, address, address + length)).partition(b"\0")
            if found:
                return text
        raise MalformedDecision(f"the result is longer than {MAX_JSON_BYTES} bytes")

    def _imports(self, module: Module) -> list[Func | Memory]:
        return [
            self._memory if wanted.name == "memory" else self._host_function(wanted.name, wanted.type)
            for wanted in module.imports
        ]

    def _host_function(self, name: str | None, kind: object) -> Func:
        if not isinstance(kind, FuncType):
            raise TypeError(f"the module imports {name}, which is no function")
        return Func(self._store, kind, self._abort if name == "opa_abort" else _refuse_host_call)

    def _abort(self, address: int) -> None:
        raise _Aborted(self._text_at(address).decode("utf-8", "replace"))


def _refuse_host_call(*_: int) -> int:
    raise _Aborted("the module called a function of the host")


def _named(error: Exception) -> PolicyError:
    """Give a failure inside the module its name."""
    match error:
        case PolicyError():
            return error
        case Trap() if error.trap_code is TrapCode.INTERRUPT:
            return EngineTimeout("the evaluation was stopped at its deadline")
        case _Aborted() if _OUT_OF_MEMORY not in str(error):
            return PolicyEvaluationError(str(error))
        case _:
            return EngineCrashed(f"{type(error).__name__}: {error}")


def read_result_set(text: bytes) -> JsonValue:
    """Return the one value of a result set such as `[{"result": ...}]`.

    Raises `PolicyUndefined` for the empty set, `MalformedDecision` for anything else.
    """
    try:
        results = parse_json(text)
    except InputRejected as error:
        raise MalformedDecision(f"the result cannot be read: {error.detail}") from error
    match results:
        case []:
            raise PolicyUndefined("the policy has no value for this input")
        case [{"result": value, **rest}] if not rest:
            return value
        case _:
            raise MalformedDecision("the result set does not hold one result")
