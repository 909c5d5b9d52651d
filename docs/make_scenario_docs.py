"""The tables of docs/scenarios.md from the library: ``python docs/make_scenario_docs.py``.

Replaces the text between the markers ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``.
"""

from __future__ import annotations

from pathlib import Path

from wm_sim.scenarios import scenario_names, scenario_spec
from wm_sim.scenarios.spec import JunctionSite, ScenarioSpec, StraightSite, Success, Trigger
from wm_sim.scenarios.suites import Phase, SuiteSpec, curriculum

PAGE = Path(__file__).parent / "scenarios.md"
HEADINGS = {
    "road users": "Other road users",
    "rules": "Rules",
    "occlusion": "Hidden until late",
    "driving": "Manoeuvres for learners",
}


def site_words(spec: ScenarioSpec) -> str:
    """Where a scenario is staged."""
    site = spec.site
    if isinstance(site, StraightSite):
        beside = f", second lane on the {site.beside}" if site.beside else ""
        return f"straight of {site.length_m:g} m{beside}"
    if not isinstance(site, JunctionSite):
        return f"bend to the {site.turn}"
    words = ["roundabout" if site.ring else "junction"]
    words += [] if site.turn == "any" else [f"route goes {site.turn}"]
    words += {True: ["lights"], False: ["no lights"], None: []}[site.lights]
    words += ["stop sign"] if site.stop_sign else []
    words += [f"traffic from: {', '.join(site.approaches)}"] if site.approaches else []
    return ", ".join(words)


def trigger_words(trigger: Trigger) -> str:
    """When it happens."""
    words = []
    if trigger.within_m is not None:
        words.append("at the anchor" if trigger.within_m == 0 else f"{trigger.within_m:g} m before")
    if trigger.ego_speed_mps is not None:
        words.append(f"ego at {trigger.ego_speed_mps:g} m/s or more")
    if trigger.green:
        words.append("light green")
    if trigger.meeting is not None:
        words.append(f"{trigger.meeting.actor} and ego would meet")
    return ", ".join(words)


def success_words(success: Success) -> str:
    """What must come true."""
    words = []
    if success.stopped_within_m is not None:
        words.append(f"stood within {success.stopped_within_m:g} m of the line")
    if success.after:
        words.append(f"let {', '.join(success.after)} go first")
    if success.overtaken_by is not None:
        words.append(f"overtaken by {success.overtaken_by}")
    if success.parked is not None:
        words.append("stands in the space")
    if success.passed_m is not None:
        words.append(f"passed {success.passed_m:g} m")
    if success.before_m is not None:
        words.append(f"within {success.before_m:g} m")
    if success.clearance_m:
        words.append(f"{success.clearance_m:g} m clearance")
    return ", ".join([*words, f"{success.within_s:g} s"])


def parameter_words(spec: ScenarioSpec) -> str:
    """Name, range and unit of every parameter."""
    return ", ".join(
        f"{name} {p.low:g} to {p.high:g} {p.unit}" for name, p in spec.parameters.items()
    )


def scenario_row(name: str) -> list[str]:
    """Cells of a scenario's row."""
    spec = scenario_spec(name)
    about = spec.description + (f" Weather: {spec.weather}." if spec.weather != "day" else "")
    trigger, success = trigger_words(spec.trigger), success_words(spec.success)
    return [f"`{name}`", about, site_words(spec), trigger, success, parameter_words(spec)]


def scenario_tables() -> str:
    """One table for each kind of scenario."""
    lines = []
    for kind, heading in HEADINGS.items():
        lines += [
            f"### {heading}",
            "",
            "| scenario | what happens | site | trigger | success | parameters |",
            "|---|---|---|---|---|---|",
            *[
                f"| {' | '.join(scenario_row(name))} |"
                for name in scenario_names()
                if scenario_spec(name).about == kind
            ],
            "",
        ]
    return "\n".join(lines)


def company(suite: SuiteSpec) -> str:
    """Who else is there."""
    kinds = ("trucks", "cyclists", "pedestrians", "parked")
    found = [f"{getattr(suite, kind)} {kind}" for kind in kinds if getattr(suite, kind)]
    return ", ".join(found) or "-"


def phase_row(name: str, phase: Phase) -> str:
    """A phase of the curriculum."""
    what = ", ".join(f"`{s}`" for s in phase.scenario_list) or ", ".join(phase.towns)
    reward = phase.reward if isinstance(phase.reward, str) else "own weights"
    return (
        f"| `{name}` | {phase.title} | {what} | {phase.traffic} | {company(phase)} | {reward} | "
        f"{phase.episodes} |"
    )


def curriculum_table() -> str:
    """The ten phases."""
    head = "| suite | learnt | where | other cars | besides | reward | episodes |"
    rows = [phase_row(name, phase) for name, phase in curriculum().items()]
    return "\n".join([head, "|---|---|---|--:|---|---|--:|", *rows, ""])


def gallery() -> str:
    """The picture of every scenario."""
    return "\n".join(
        f"**`{name}`**\n\n![{name}](images/scenarios/{name}.png)\n" for name in scenario_names()
    )


def page() -> str:
    """The whole page with fresh tables."""
    text = PAGE.read_text()
    for name, content in {
        "scenarios": scenario_tables(),
        "curriculum": curriculum_table(),
        "gallery": gallery(),
    }.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{content}{end}{after}"
    return text


def main() -> None:
    """Rewrite the tables."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
