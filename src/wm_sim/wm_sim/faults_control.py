"""Faults of a running bridge: set by parameter or service, and told on a latched topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from wm_dynamics.errors import UserError
from wm_msgs.msg import Fault as FaultMessage
from wm_msgs.msg import FaultArray
from wm_perception.node_tools import header
from wm_sim.faults import FaultInjector, applies
from wm_sim.faults_spec import EVERY_TOPIC, Fault, parse_faults


class Episode(Protocol):
    """What is needed of the bridge's loop: which episode and which frame it is at."""

    episode_ns: int
    seed: int

    @property
    def started(self) -> bool:
        """An episode has begun."""

    @property
    def stamp_ns(self) -> int:
        """Stamp of the current frame."""


def check(faults: Iterable[Fault], types: Mapping[str, type]) -> None:
    """Refuse faults that could never hit anything.

    Args:
        faults: the list.
        types: topic key -> message class of everything published and heard.

    Raises:
        UserError: an unknown topic, or a fault that its messages cannot have.
    """
    for fault in faults:
        if fault.topic == EVERY_TOPIC:
            continue
        if fault.topic not in types:
            known = ", ".join(sorted(types))
            raise UserError(f"{fault.text}: no topic {fault.topic!r} here; known topics: {known}")
        reason = applies(fault, types[fault.topic])
        if reason:
            raise UserError(f"{fault.text}: {reason}")


def fault_array(faults: Iterable[Fault], origin_ns: int, seed: int) -> FaultArray:
    """The message that tells which faults are set.

    Args:
        faults: the list.
        origin_ns: stamp from which their times are counted.
        seed: of their random numbers.
    """
    return FaultArray(
        header=header(origin_ns, ""),
        seed=seed,
        faults=[
            FaultMessage(
                topic=fault.topic,
                field=fault.field,
                kind=fault.kind,
                value=float(fault.value),
                probability=float(fault.probability),
                start_s=float(fault.start_s),
                duration_s=float(fault.duration_s),
            )
            for fault in faults
        ],
    )


class FaultControl:
    """Stands between the bridge and its topics; lets everything pass until :meth:`start`.

    The list of faults begins anew with every episode: times are counted from its first frame and
    random numbers follow from its seed, so an episode has the same faults whatever ran before.

    Args:
        faults: to begin with, in text form.
        send: publishes, takes topic key and message.
        announce: publishes the FaultArray.

    Raises:
        UserError: a text is no fault.
    """

    def __init__(
        self,
        faults: Iterable[str],
        send: Callable[[str, Any], None],
        announce: Callable[[FaultArray], None],
    ):
        self._faults, self._send, self._announce = parse_faults(faults), send, announce
        self._injector = FaultInjector()
        self._episode: Episode | None = None
        self._episode_ns: int | None = None

    def start(self, episode: Episode, types: Callable[[], Mapping[str, type]]) -> None:
        """Begin to inject.

        Args:
            episode: the bridge's loop.
            types: gives topic key -> message class of everything published and heard now.

        Raises:
            UserError: a fault is none of these topics.
        """
        check(self._faults, types())
        self._types = types
        self._injector.replace(self._faults, None, 0)
        self._episode = episode
        self._tell()

    def _tell(self) -> None:
        injector = self._injector
        self._announce(fault_array(injector.faults, injector.origin_ns or 0, injector.seed))

    def _stamp_ns(self) -> int | None:
        """Stamp of the current frame, None before the first; a new episode begins the list anew."""
        episode = self._episode
        if episode is None or not episode.started:
            return None
        if episode.episode_ns != self._episode_ns:
            self._episode_ns = episode.episode_ns
            self._injector.replace(self._injector.faults, self._episode_ns, episode.seed)
            self._tell()
        return episode.stamp_ns

    def _pass(self, key: str, message: Any) -> list[Any]:
        stamp_ns = self._stamp_ns()
        return [message] if stamp_ns is None else self._injector.apply(key, message, stamp_ns)

    def publish(self, key: str, message: Any) -> None:
        """Send a message, or what the faults make of it."""
        for item in self._pass(key, message):
            self._send(key, item)

    def heard(self, key: str, handler: Callable[[Any], None]) -> Callable[[Any], None]:
        """A handler of an input's messages, or of what the faults make of them."""
        self._injector.inputs.add(key)

        def take(message: Any) -> None:
            for item in self._pass(key, message):
                handler(item)

        return take

    def release(self) -> None:
        """Send what was delayed and is due; call it after everything of a frame was published."""
        stamp_ns = self._stamp_ns()
        if stamp_ns is not None:
            for key, message in self._injector.release(stamp_ns):
                self._send(key, message)

    def on_set(self, request: Any, response: Any) -> Any:
        """Answer ``set_faults``: replace the list, or refuse it and change nothing."""
        try:
            faults = parse_faults(request.faults)
            check(faults, self._types())
        except UserError as error:
            response.success, response.message = False, str(error)
            return response
        self._injector.replace(faults, self._stamp_ns(), self._injector.seed)
        self._tell()
        response.success = True
        response.message = ", ".join(fault.text for fault in faults) or "no faults"
        return response
