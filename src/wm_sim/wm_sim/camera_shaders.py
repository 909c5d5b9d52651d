"""GLSL of the cameras. The varying ``material`` is (red, green, blue, code).

``code`` is the material kind plus 16 times the semantic tag. What costs time is compiled in only
where it is needed: the grain of the ``GROUND``, windows in ``WALLS``, and of the weather ``WET``
roads, ``DARK`` streets with lamps, a sky with ``CLOUDS``.
"""

from __future__ import annotations

from wm_perception.semantics import SemanticTag

# Material kinds. LAMP always shines, CAR_LAMP when lamps are on, SHADOW darkens what it lies on.
PLAIN, GRASS, ASPHALT, FACADE, LAMP, PAVEMENT, CAR_LAMP, SHADOW, LINE = range(9)
MAX_HEADLIGHTS = 6
CODE_KINDS = 16
_VERSION = "#version 330\n"


def code(kind: int, tag: SemanticTag) -> int:
    """Material kind and semantic tag as one number."""
    return kind + CODE_KINDS * tag


STATIC_VERTEX = """
in vec3 position; in vec3 normal; in vec4 colour;
uniform mat4 view_projection;
out vec3 world; out vec3 facing; out vec4 material;
void main() {
    world = position; facing = normal; material = colour;
    gl_Position = view_projection * vec4(position, 1.0);
}"""

# One instance is one solid: pose (x, y, z, yaw), offset in the object's frame, size, colour and
# code, and form: how far the top is drawn in along x and y, tilt about y, roll about x.
INSTANCE_VERTEX = """
in vec3 position; in vec3 normal;
in vec4 pose; in vec3 offset; in vec3 size; in vec4 colour; in vec4 form;
uniform mat4 view_projection;
out vec3 world; out vec3 facing; out vec4 material;
vec3 turn(vec3 p) {
    float c = cos(form.w), s = sin(form.w);
    p = vec3(p.x, c * p.y - s * p.z, s * p.y + c * p.z);
    c = cos(form.z); s = sin(form.z);
    return vec3(c * p.x + s * p.z, p.y, c * p.z - s * p.x);
}
void main() {
    vec3 p = position * size;
    if (position.z > 0.0) p.xy *= 1.0 - form.xy;
    p = turn(p) + offset;
    vec3 n = turn(normal);
    float c = cos(pose.w), s = sin(pose.w);
    world = vec3(pose.x + c * p.x - s * p.y, pose.y + s * p.x + c * p.y, pose.z + p.z);
    facing = vec3(c * n.x - s * n.y, s * n.x + c * n.y, n.z);
    material = colour;
    gl_Position = view_projection * vec4(world, 1.0);
}"""

_NOISE = """
float hash(vec2 p) {
    vec3 q = fract(vec3(p.xyx) * 0.1031);
    q += dot(q, q.yzx + 33.33);
    return fract((q.x + q.y) * q.z);
}
float noise(vec2 p) {
    vec2 i = floor(p), f = fract(p);
    f = f * f * (3.0 - 2.0 * f);
    return mix(mix(hash(i), hash(i + vec2(1, 0)), f.x),
               mix(hash(i + vec2(0, 1)), hash(i + vec2(1, 1)), f.x), f.y);
}"""

_FRAGMENT = (
    """
in vec3 world; in vec3 facing; in vec4 material;
uniform vec3 eye; uniform vec3 sun; uniform vec3 sunlight; uniform vec3 skylight;
uniform vec3 haze; uniform vec3 zenith;
uniform float fog_start; uniform float haze_distance; uniform float fog_on_lamps;
uniform float wet; uniform float puddles; uniform float darkness; uniform float lamps;
uniform vec4 beam_at[MAX_HEADLIGHTS]; uniform vec3 beam_to[MAX_HEADLIGHTS];
out vec4 colour;
"""
    + _NOISE
    + """
#ifdef DARK
// Light of the street and of head lamps: a cone of light, wider to the sides than upwards.
vec3 lamplight(vec3 normal) {
    vec3 sum = darkness * vec3(0.30, 0.23, 0.15) * exp(-max(world.z, 0.0) / 7.0);
    for (int i = 0; i < MAX_HEADLIGHTS; ++i) {
        vec3 ray = world - beam_at[i].xyz;
        float far = length(ray), along = dot(ray, beam_to[i]);
        vec3 aside = ray - along * beam_to[i];
        float wide = length(aside.xy) / max(along, 0.1), high = aside.z / max(along, 0.1);
        float cone = exp(-4.0 * wide * wide - 40.0 * max(high, 0.0) * max(high, 0.0));
        float towards = 0.35 + 0.65 * max(dot(normal, -ray / max(far, 0.1)), 0.0);
        float near = smoothstep(0.0, 2.5, along) / (1.0 + far * far / 200.0);
        sum += beam_at[i].w * cone * towards * near * vec3(1.0, 0.95, 0.82);
    }
    return sum;
}
#endif
#ifdef WET
// What a wet road mirrors: the sky, and head lamps as streaks towards the eye.
vec3 mirrored(vec3 view) {
    vec3 up = vec3(view.xy, -view.z);
    vec3 sum = mix(haze, zenith, smoothstep(0.0, 0.7, asin(clamp(up.z, -1.0, 1.0))));
#ifdef DARK
    for (int i = 1; i < MAX_HEADLIGHTS; ++i) {
        vec3 to = beam_at[i].xyz - world;
        float side = up.x * to.y - up.y * to.x, ahead = dot(up.xy, to.xy);
        float facing_us = max(dot(beam_to[i].xy, -normalize(to.xy + 1e-5)), 0.0);
        sum += beam_at[i].w * step(0.0, ahead) * facing_us * facing_us
            * exp(-side * side * 6.0 - dot(to, to) / 600.0) * vec3(1.2, 1.1, 0.9);
    }
#endif
    return sum;
}
#endif
void main() {
    vec3 base = material.rgb, shining = vec3(0.0), normal = normalize(facing);
    int kind = int(material.a + 0.5) & 15;
    float far = length(world - eye);
#ifdef GROUND
    float fine = noise(world.xy * 2.5) - 0.5, coarse = noise(world.xy * 0.12) - 0.5;
    float strength = kind == 8 ? 0.0 : kind == 1 ? 0.30 : 0.12;
    base *= 1.0 + strength * (coarse + fine * exp(-far / 25.0));
#endif
#ifdef WALLS
    if (kind == 3 && abs(facing.z) < 0.5) {
        float along = abs(facing.x) > 0.5 ? world.y : world.x;
        vec2 at = vec2(along / 2.6, world.z / 3.1), cell = fract(at);
        bool window = cell.x > 0.3 && cell.x < 0.75 && cell.y > 0.35 && cell.y < 0.8;
        if (window) base = mix(base, vec3(0.22, 0.27, 0.33), 0.8 * exp(-far / 120.0));
#ifdef DARK
        float wall = abs(facing.x) > 0.5 ? floor(world.x) : floor(world.y) + 71.0;
        float lit = hash(floor(at) + wall * 0.37 + 5.0 * facing.xy);
        if (window && lit < 0.38)
            shining = darkness * (0.55 + lit)
                * mix(vec3(1.0, 0.72, 0.38), vec3(0.9, 0.9, 0.8), 2.0 * lit);
#endif
    }
#endif
    vec3 light = skylight * (0.52 + 0.16 * normal.z)
        + sunlight * (0.42 * max(dot(normal, sun), 0.0));
#ifdef DARK
    light += lamplight(normal);
#endif
#if defined(WET) && !defined(WALLS)
    if (kind != 0 && kind != 4 && kind != 6) {
        vec3 view = (world - eye) / far;
        float pool = smoothstep(0.62 - 0.35 * puddles, 0.70, noise(world.xy * 0.45));
        float water = kind == 1 ? 0.0 : wet * 0.55 + pool * puddles * 0.45;
        float graze = pow(1.0 - clamp(-view.z, 0.0, 1.0), 4.0);
        base *= 1.0 - 0.45 * max(wet, pool * puddles) * (kind == 8 ? 0.3 : 1.0);
        vec3 image = mirrored(view);
        shining += image * water * (0.12 + 0.88 * graze);
        light *= 1.0 - 0.6 * water * graze;
    }
#endif
    float own = kind == 4 ? 1.0 : kind == 6 ? lamps : 0.0;
    vec3 bright = mix(base * light + shining, base * mix(1.0, 1.25, step(5.5, float(kind))), own);
    float dim = mix(1.0, fog_on_lamps, own);
    float fog = dim * (1.0 - exp(-pow(max(far - fog_start, 0.0) / haze_distance, 1.6)));
    colour = vec4(mix(bright, haze, fog), 1.0);
}"""
)

# Depth along the optical axis, or the tag; shadows have neither.
_MEASURE = """
in vec3 world; in vec3 facing; in vec4 material;
uniform vec3 eye; uniform vec3 axis; uniform int tagging;
out float value;
void main() {
    int code = int(material.a + 0.5);
    if ((code & 15) == 7) discard;
    value = tagging == 1 ? float(code >> 4) : dot(world - eye, axis);
}"""

SKY_VERTEX = """
in vec2 corner; uniform mat3 rays; out vec3 ray; out vec2 at;
void main() {
    at = corner; ray = rays * vec3(1.0, corner);
    gl_Position = vec4(corner, 0.99999, 1.0);
}"""

_SKY = (
    """
in vec3 ray; in vec2 at; out vec4 colour;
uniform vec3 haze; uniform vec3 zenith; uniform vec3 glow; uniform vec3 sun; uniform float clouds;
"""
    + _NOISE
    + """
void main() {
    vec3 to = normalize(ray);
    colour = vec4(mix(haze, zenith, smoothstep(0.0, 0.7, asin(to.z))), 1.0);
#ifdef CLOUDS
    if (to.z > 0.0) {
        vec2 p = to.xy / (to.z + 0.12) * 1.3;
        float n = 0.55 * noise(p) + 0.30 * noise(p * 2.3 + 7.0) + 0.15 * noise(p * 5.1 + 3.0);
        float cover = smoothstep(0.85 - 0.75 * clouds, 1.05 - 0.60 * clouds, n + 0.1);
        vec3 cloud = mix(haze * 1.12, haze * 0.72, smoothstep(0.3, 0.8, n) * clouds);
        colour.rgb = mix(colour.rgb, cloud, cover * smoothstep(0.0, 0.22, to.z));
    }
#endif
    float near = max(dot(to, sun), 0.0);
    colour.rgb += glow * (pow(near, 8.0) + step(0.9994, near));
}"""
)

# Rain: three layers of streaks that fall past the eye.
_RAIN = (
    """
in vec3 ray; in vec2 at; out vec4 colour;
uniform float rain; uniform float seconds; uniform vec3 haze; uniform float aspect;
"""
    + _NOISE
    + """
void main() {
    float sum = 0.0;
    for (int layer = 0; layer < 3; ++layer) {
        float scale = 9.0 + 7.0 * float(layer);
        vec2 p = vec2(at.x * aspect + 0.06 * at.y, at.y) * scale;
        float column = floor(p.x), shift = hash(vec2(column, float(layer)));
        float fall = p.y * 0.22 + seconds * (3.0 + shift) + 13.0 * shift;
        float drop = hash(vec2(column, floor(fall)) + 17.0 * float(layer));
        float thin = smoothstep(0.10, 0.0, abs(fract(p.x) - 0.2 - 0.6 * shift));
        float tail = smoothstep(0.0, 0.25, fract(fall)) * smoothstep(0.75, 0.45, fract(fall));
        sum += step(drop, 0.75 * rain) * thin * tail;
    }
    colour = vec4(mix(haze, vec3(0.85), 0.5), min(0.42 * sum, 0.5) * (0.4 + 0.6 * rain));
}"""
)

_PARTS = {
    "static": (STATIC_VERTEX, _FRAGMENT),
    "moving": (INSTANCE_VERTEX, _FRAGMENT),
    "static_measure": (STATIC_VERTEX, _MEASURE),
    "moving_measure": (INSTANCE_VERTEX, _MEASURE),
    "sky": (SKY_VERTEX, _SKY),
    "rain": (SKY_VERTEX, _RAIN),
}


def sources(name: str, features: frozenset[str]) -> tuple[str, str]:
    """Vertex and fragment source of a program with some optional features compiled in."""
    head = _VERSION + f"#define MAX_HEADLIGHTS {MAX_HEADLIGHTS}\n"
    head += "".join(f"#define {feature}\n" for feature in sorted(features))
    vertex, fragment = _PARTS[name]
    return head + vertex, head + fragment
