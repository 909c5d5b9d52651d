"""What can be chosen when a driving environment is made, and when it is reset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from wm_dynamics.errors import UserError
from wm_sim.world import World

Model = TypeVar("Model", bound=BaseModel)


def _as_world(value: Any) -> Any:
    """A world from its fields; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    known = [field.name for field in fields(World)]
    unknown = set(value) - set(known)
    if unknown:
        raise ValueError(f"a world has {', '.join(known)}, not {', '.join(sorted(unknown))}")
    return World(**value)


WorldOrFields = Annotated[World, BeforeValidator(_as_world)]


class EnvConfig(BaseModel):
    """Keyword arguments of the environment; unknown ones are errors.

    Attributes:
        town: name of a shipped or added town.
        suite: suite of routes, or a suite of episodes (``wm_sim.scenarios.suites``), which then
            says town, route, traffic and world: one of its episodes is drawn at each reset.
        route: number of the route; None draws one at each reset, for a scenario one that fits.
        traffic: number of other cars.
        world: who and what else there is, :class:`wm_sim.world.World` or its fields.
        frame_dt: s per step.
        action: "continuous" (steer, accel), "reversible" (steer, accel, gear: negative is
            reverse), or "discrete" (15, CarDreamer's).
        camera: (width, height) of a front camera in the observation, px; None for none.
        camera_samples: anti-aliasing samples per pixel; 4 look better and take three times as long.
        reward: name of a preset or weights of terms, see :mod:`wm_sim.rewards`; None for what the
            suite says, if it is a phase of the curriculum, and "default" otherwise.
        max_steps: the episode is truncated after so many steps.
        off_route_m: the episode ends this far from the route; in a scenario that allows more, as
            far as it allows.
        end_on_red: running a red light ends the episode.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    town: str = "train01"
    suite: str = "default"
    route: int | None = Field(None, ge=0)
    traffic: int = Field(20, ge=0)
    world: WorldOrFields = World()
    frame_dt: float = Field(0.1, gt=0)
    action: Literal["continuous", "reversible", "discrete"] = "continuous"
    camera: tuple[int, int] | None = None
    camera_samples: int = Field(0, ge=0)
    reward: str | dict[str, float] | None = None
    max_steps: int = Field(1000, gt=0)
    off_route_m: float = Field(5.0, gt=0)
    end_on_red: bool = False


class ResetOptions(BaseModel):
    """``options`` of ``reset``, for one episode; what is left out is as the environment was made.

    Attributes:
        town, suite, route, traffic, world: as in :class:`EnvConfig`.
        seed: of the traffic, the lights and the scenario; None draws one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    town: str | None = None
    suite: str | None = None
    route: int | None = Field(None, ge=0)
    traffic: int | None = Field(None, ge=0)
    world: WorldOrFields | None = None
    seed: int | None = Field(None, ge=0)


def validated(model: type[Model], values: dict[str, Any]) -> Model:
    """``values`` as a model.

    Raises:
        UserError: an unknown key or an impossible value, with the key and the known ones.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = ", ".join(model.model_fields)
        raise UserError(f"environment: {key!r}: {first['msg']} (known: {known})") from None
