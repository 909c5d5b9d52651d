"""GLSL of the front camera. The varying ``material`` is (red, green, blue, kind)."""

from __future__ import annotations

# Material kinds
PLAIN, GRASS, ASPHALT, FACADE, LAMP, PAVEMENT = range(6)

STATIC_VERTEX = """#version 330
in vec3 position; in vec3 normal; in vec4 colour;
uniform mat4 view_projection;
out vec3 world; out vec3 facing; out vec4 material;
void main() {
    world = position; facing = normal; material = colour;
    gl_Position = view_projection * vec4(position, 1.0);
}"""

# One instance is one box: pose (x, y, z, yaw), offset in the object's frame, size, colour, kind,
# and taper (how far the top is drawn in, for cabins).
INSTANCE_VERTEX = """#version 330
in vec3 position; in vec3 normal;
in vec4 pose; in vec3 offset; in vec3 size; in vec4 colour; in float taper;
uniform mat4 view_projection;
out vec3 world; out vec3 facing; out vec4 material;
void main() {
    vec3 p = position * size;
    if (position.z > 0.0) p.xy *= 1.0 - taper * vec2(1.0, 0.5);
    p += offset;
    float c = cos(pose.w), s = sin(pose.w);
    world = vec3(pose.x + c * p.x - s * p.y, pose.y + s * p.x + c * p.y, pose.z + p.z);
    facing = vec3(c * normal.x - s * normal.y, s * normal.x + c * normal.y, normal.z);
    material = colour;
    gl_Position = view_projection * vec4(world, 1.0);
}"""

FRAGMENT = """#version 330
in vec3 world; in vec3 facing; in vec4 material;
uniform vec3 eye; uniform vec3 sun; uniform vec3 haze; uniform float haze_distance;
out vec4 colour;

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
}
void main() {
    vec3 base = material.rgb;
    int kind = int(material.a + 0.5);
    float far = length(world - eye);
    if (kind == 1 || kind == 2 || kind == 5) {
        float fine = noise(world.xy * 2.5) - 0.5, coarse = noise(world.xy * 0.12) - 0.5;
        float strength = kind == 1 ? 0.30 : 0.12;
        base *= 1.0 + strength * (coarse + fine * exp(-far / 25.0));
    } else if (kind == 3 && abs(facing.z) < 0.5) {
        float along = abs(facing.x) > 0.5 ? world.y : world.x;
        vec2 cell = fract(vec2(along / 2.6, world.z / 3.1));
        bool window = cell.x > 0.3 && cell.x < 0.75 && cell.y > 0.35 && cell.y < 0.8;
        if (window) base = mix(base, vec3(0.22, 0.27, 0.33), 0.8 * exp(-far / 120.0));
    }
    float light = kind == 4 ? 1.0
        : 0.52 + 0.16 * facing.z + 0.42 * max(dot(normalize(facing), sun), 0.0);
    float fog = kind == 4 ? 0.0 : 1.0 - exp(-pow(far / haze_distance, 1.6));
    colour = vec4(mix(base * light, haze, fog), 1.0);
}"""

SKY_VERTEX = """#version 330
in vec2 corner; out vec2 at;
void main() { at = corner; gl_Position = vec4(corner, 0.99999, 1.0); }"""

SKY_FRAGMENT = """#version 330
in vec2 at; out vec4 colour;
uniform vec3 haze; uniform float tan_half_height; uniform float pitch;
void main() {
    float elevation = atan(at.y * tan_half_height) + pitch;
    vec3 zenith = vec3(0.30, 0.50, 0.80);
    colour = vec4(mix(haze, zenith, smoothstep(0.0, 0.7, elevation)), 1.0);
}"""
