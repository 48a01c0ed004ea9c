"""Samplers and schedules by AUTOMATIC1111's names and by ComfyUI's."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from comfyq.wire.a1111.views import SamplerView, SchedulerView

AUTOMATIC = "automatic"  # the schedule that belongs to a sampler


@dataclass(frozen=True, slots=True)
class Sampler:
    name: str  # ComfyUI's
    schedule: str | None = None  # ComfyUI's, that AUTOMATIC1111 uses with it


SAMPLERS: Mapping[str, Sampler] = {
    "DPM++ 2M": Sampler("dpmpp_2m", "karras"),
    "DPM++ SDE": Sampler("dpmpp_sde", "karras"),
    "DPM++ 2M SDE": Sampler("dpmpp_2m_sde", "exponential"),
    "DPM++ 2M SDE Heun": Sampler("dpmpp_2m_sde_heun", "exponential"),
    "DPM++ 2S a": Sampler("dpmpp_2s_ancestral", "karras"),
    "DPM++ 3M SDE": Sampler("dpmpp_3m_sde", "exponential"),
    "Euler a": Sampler("euler_ancestral"),
    "Euler": Sampler("euler"),
    "LMS": Sampler("lms"),
    "Heun": Sampler("heun"),
    "DPM2": Sampler("dpm_2", "karras"),
    "DPM2 a": Sampler("dpm_2_ancestral", "karras"),
    "DPM fast": Sampler("dpm_fast"),
    "DPM adaptive": Sampler("dpm_adaptive"),
    "DDIM": Sampler("ddim"),
    "UniPC": Sampler("uni_pc"),
    "LCM": Sampler("lcm"),
}
SCHEDULES: Mapping[str, tuple[str, str]] = {  # ComfyUI's, with its label there, by the name there
    "uniform": ("normal", "Uniform"),
    "karras": ("karras", "Karras"),
    "exponential": ("exponential", "Exponential"),
    "sgm_uniform": ("sgm_uniform", "SGM Uniform"),
    "kl_optimal": ("kl_optimal", "KL Optimal"),
    "simple": ("simple", "Simple"),
    "normal": ("normal", "Normal"),
    "ddim": ("ddim_uniform", "DDIM"),
    "beta": ("beta", "Beta"),
}
_SAMPLERS = {name.casefold(): sampler for name, sampler in SAMPLERS.items()}
_SCHEDULES = {
    text.casefold(): own
    for name, (own, label) in SCHEDULES.items()
    for text in (name, label, label.replace(" ", "_"))
}


def sampler_of(name: str) -> Sampler:
    """Return what a sampler is called by ComfyUI; one that is not known is taken for ComfyUI's.

    Older clients name the schedule behind the sampler: ``DPM++ 2M Karras``.
    """
    sampler = _SAMPLERS.get(name.strip().casefold())
    if sampler is not None:
        return sampler
    before, _, last = name.strip().rpartition(" ")
    sampler, schedule = _SAMPLERS.get(before.casefold()), _SCHEDULES.get(last.casefold())
    if sampler is not None and schedule is not None:
        return Sampler(sampler.name, schedule)
    return Sampler(name)


def schedule_of(name: str) -> str | None:
    """Return what a schedule is called by ComfyUI; None: the one that belongs to the sampler."""
    text = name.strip().casefold()
    return None if text in (AUTOMATIC, "") else _SCHEDULES.get(text, name)


def sampler_views(known: Iterable[str] | None) -> Iterator[SamplerView]:
    """Show the samplers that ComfyUI has by their names here; None: those that are usual."""
    names = {sampler.name: name for name, sampler in SAMPLERS.items()}
    for own in names if known is None else known:
        name = names.get(own, own)
        schedule = SAMPLERS[name].schedule if name in SAMPLERS else None
        options = {} if schedule is None else {"scheduler": schedule}
        yield SamplerView(name=name, aliases=[own], options=options)


def schedule_views(known: Iterable[str] | None) -> Iterator[SchedulerView]:
    """Show the schedules that ComfyUI has by their names here; None: those that are usual."""
    yield SchedulerView(name=AUTOMATIC, label="Automatic")
    names = {own: (name, label) for name, (own, label) in SCHEDULES.items()}
    for own in names if known is None else known:
        name, label = names.get(own, (own, own))
        yield SchedulerView(name=name, label=label, aliases=[own])
