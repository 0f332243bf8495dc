"""Paints the land, sharp and in linear light: sky, skylines, ground with shadows and a lake.

Knows nothing about the lens.
"""

import numpy as np
from PIL import Image as PILImage

from .composition import Ridge, SceneRecipe
from .geometry import intersect
from .scenery import linear
from .shading import Layer, Light, noise, pixel_centres, ramp, smooth_noise


def paint_sky(recipe: SceneRecipe, light: Light) -> np.ndarray:
    """Gradient, clouds on a plane above, and the sun with its glow; linear light of shape `(3, height, width)`."""
    camera = recipe.camera
    columns, rows = pixel_centres(camera)
    height = np.maximum((camera.horizon - rows) / camera.focal_px, 0)[:, None]
    x = ((columns - camera.width / 2) / camera.focal_px)[None]
    mix = 1 - np.exp(-5.5 * height)
    sky = light.horizon[:, None, None] * (1 - mix) + light.zenith[:, None, None] * mix
    sky = np.repeat(sky, camera.width, axis=2)
    if recipe.clouds > 0.2:
        far = 1 / (height + 0.06)
        u, v = x * far * 0.9 + 31, far + recipe.seed % 97
        density = smooth_noise(u * 0.8, v) + 0.5 * noise(u * 2.1 + 7, v * 2.3) + 0.25 * noise(u * 5, v * 5)
        cover = 1.6 - 1.7 * recipe.clouds
        opacity = ramp(density, cover, cover + 1.6) * ramp(height, 0.01, 0.12) * 0.75
        white = 0.75 * light.sun / light.sun.max() + 0.6 * light.horizon / light.horizon.max()
        sky += (white[:, None, None] - sky) * opacity
    if light.direction[2] > 0.05:
        sun_x, sun_y, _ = (light.direction / light.direction[2]).tolist()
        gap = np.sqrt((x - sun_x) ** 2 + (height - sun_y) ** 2)
        glow = 0.9 * np.exp(-4.5 * gap) + 3 * np.exp(-26 * gap) + 14 * ramp(-gap, -0.034, -0.026)
        sky += (light.sun * np.float32(0.55))[:, None, None] * glow
    return sky


def paint_ridge(recipe: SceneRecipe, light: Light, ridge: Ridge) -> Layer | None:
    """A skyline, mountains or the edge of a wood; `None` where it lies outside the picture."""
    camera = recipe.camera
    columns, rows = pixel_centres(camera)
    rng = np.random.Generator(np.random.PCG64(ridge.seed))
    foot = camera.ground_row(ridge.distance)
    tall = ridge.height * camera.focal_px / ridge.distance
    across = columns / camera.width
    waves = [np.sin(across * (rng.uniform(2, 5) * 2**k) + rng.uniform(0, 6)) / 2**k for k in range(6)]
    wave = np.sum(waves, axis=0, dtype=np.float32)
    if ridge.is_wooded:
        # every tree is a spike; the highest at a column is the one that is seen there
        count = int(np.clip(2.2 * camera.width / max(0.34 * tall, 1.0), 8, 160))
        middle = (rng.uniform(-0.05, 1.05, count) * camera.width).astype(np.float32)
        top = (tall * rng.uniform(0.55, 1.0, count)).astype(np.float32)
        steepness = rng.uniform(2.2, 3.4, count).astype(np.float32)
        spikes = top[:, None] - np.abs(columns - middle[:, None]) * steepness[:, None]
        tree = spikes.argmax(0)
        rise = np.maximum(spikes.max(0), 0.35 * tall) * (1 + 0.12 * wave)
    else:
        rise = tall * np.clip(0.62 + 0.25 * wave, 0.05, 1.4)
    first = max(int(foot - rise.max()) - 2, 0)
    # painted on below its foot, where the ground will hide it, so that a blur finds no gap there
    last = min(int(foot) + 20, camera.height)
    if last <= first:
        return None
    y = rows[first:last, None]
    up = np.clip((foot - y) / max(tall, 1.0), 0, 1)
    if ridge.is_wooded:
        tone = rng.uniform(0.75, 1.2, count).astype(np.float32)[tree]
        beside = (columns - middle[tree]) / (0.2 * tall + 1)
        side = np.clip(beside, -1, 1) * np.sign(light.direction[0])
        leaf_size = float(np.clip(0.05 * tall, 1.5, 5))
        leaf = noise(columns / leaf_size + ridge.seed % 31, y / leaf_size)
        # boughs in tiers that hang down to the sides, each in the shade of the one above
        bough = ((y - foot + top[tree]) / tall - 0.1 * np.abs(beside) + 0.02 * leaf) / 0.085
        bough = (bough - np.floor(bough)) * min(tall / 60, 1.0)
        opacity = np.clip(y - (foot - rise) + 0.5 + 0.45 * leaf_size * leaf, 0, 1)
        albedo = ridge.colour[:, None, None] * (tone * (0.5 + 0.5 * up) * (1 + 0.16 * leaf) * (0.85 + 0.4 * bough))
        colour = light.shade(albedo, 0.27 + 0.26 * side + 0.06 * leaf, 0.3 + 0.4 * up)
        light.add_haze(colour, ridge.distance * (1.25 - 0.25 * up))
    else:
        crag = noise(columns / 37 + ridge.seed % 17, y / 29) * 0.5 + noise(columns / 11, y / 9) * 0.3
        opacity = np.clip(y - (foot - rise) + 0.5, 0, 1)
        colour = light.shade(ridge.colour, 0.45 + 0.22 * crag, 0.6)
        # mist gathers at the foot of mountains
        light.add_haze(colour, ridge.distance * (1.9 - 0.9 * up))
    distance = np.where(opacity > 0.5, np.float32(ridge.distance), np.float32(np.inf))
    planes = np.concatenate([colour * opacity, opacity[None]])
    return Layer(planes, distance, slice(first, last), slice(0, camera.width))


def paint_ground(recipe: SceneRecipe, light: Light, beyond: np.ndarray) -> Layer | None:
    """The ground up to the nearest ridge, with shadows and a lake that mirrors `beyond`, the picture so far."""
    camera = recipe.camera
    columns, rows = pixel_centres(camera)
    far = min((ridge.distance for ridge in recipe.ridges), default=200 * recipe.bodies[0].distance)
    edge = camera.ground_row(far)
    first = max(int(edge), 0)
    if first >= camera.height:
        return None
    z = camera.focal_px * camera.eye / np.maximum(rows[first:, None] - camera.horizon, 0.05)
    x = (columns - camera.width / 2) * (z / camera.focal_px)
    sunlit, open_sky = _cast_shadows(recipe, x, z)
    facing = np.float32(0.15 + light.direction[1])
    colour = light.shade(_ground_albedo(recipe, x, z) * open_sky, facing, 0.9, sunlit)
    light.add_haze(colour, z)
    if recipe.lake is not None:
        _mirror_in_lake(recipe, light, beyond, colour, x, z, first, edge)
    opacity = np.ones((1, *x.shape), np.float32)
    # uneven grass hides the straight foot of the wood
    opacity[0, :4] = np.clip(rows[first : first + 4, None] - edge + 0.7 * noise(columns / 9, 3.3), 0, 1)
    distance = np.broadcast_to(z, x.shape)
    return Layer(
        np.concatenate([colour * opacity, opacity]), distance, slice(first, camera.height), slice(0, camera.width)
    )


def _ground_albedo(recipe: SceneRecipe, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    camera, land = recipe.camera, recipe.land
    u = x / camera.eye + 200
    v = z / camera.eye + (50 + recipe.seed % 41)
    # what one row covers of the ground: waves shorter than that would flicker, so they fade out
    footprint = (z / camera.eye) ** 2 / camera.focal_px

    def fade(wavelength: float) -> np.ndarray:
        return np.clip(1.6 - 1.2 * footprint / wavelength, 0, 1)

    broad = noise(u * 0.35, v * 0.35)
    middle = noise(u * 1.3 + 3, v * 1.1) * fade(0.8)
    fine = noise(u * 6, v * 2.6) * fade(0.32) + 0.8 * noise(u * 17, v * 6) * fade(0.12)
    mix = 0.5 + 0.17 * broad + 0.14 * middle
    if land.pattern == "rows":
        drift = 0.5 * float(np.sin(recipe.seed))
        furrow = np.sin((u + drift * v) * 8.6) * np.clip(0.12 * camera.focal_px * camera.eye / z - 0.3, 0, 1)
        mix += 0.45 * furrow - 0.07 * broad
    elif land.pattern == "dunes":
        mix += 0.14 * np.sin(v * 5 + 2.5 * noise(u * 0.5, v * 0.4)) * fade(0.6) - 0.09 * middle
    np.clip(mix, 0, 1, out=mix)
    grain = 1 + {"plain": 0.035, "dunes": 0.06}.get(land.pattern, 0.14) * fine
    bright, dark = linear(land.bright, land.dark)
    albedo = np.stack([(dark[i] + (bright[i] - dark[i]) * mix) * grain for i in range(3)])
    for index, bloom in enumerate(linear(*land.blooms) if land.blooms else ()):
        patches = ramp(noise(u * 0.5 + 11, v * 0.5), -0.3, 1.2) * (0.35 + 0.65 * fade(0.3))
        dots = ramp(noise(u * 14 + 5 * index, v * 9 + 3 * index), 1.1, 1.7) * patches
        albedo += (bloom[:, None, None] - albedo) * dots
    return albedo


def _cast_shadows(recipe: SceneRecipe, x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of sunlight and of skylight that reach the ground, computed on every second pixel."""
    px, pz = np.ascontiguousarray(x[::2, ::2]), np.ascontiguousarray(z[::2])
    sunlit, open_sky = np.ones_like(px), np.ones_like(px)
    sun = recipe.sun
    for solid in (solid for body in recipe.bodies for solid in body.solids):
        centre, reach = solid.centre, solid.reach
        drop = centre[1] / sun[1]
        shadow_x, shadow_z = centre[0] - sun[0] * drop, centre[2] - sun[2] * drop
        stretch = 1.3 * reach / sun[1]
        window = _window(
            pz[:, 0], min(shadow_z - stretch, centre[2] - reach), max(shadow_z + stretch, centre[2] + reach)
        )
        if window.start == window.stop:
            continue
        low, high = min(shadow_x - stretch, centre[0] - reach), max(shadow_x + stretch, centre[0] + reach)
        # the nearest row of the window is the narrowest, so it needs the most columns; the farthest the fewest
        columns = _window(px[window.start], low, high), _window(px[window.stop - 1], low, high)
        start, stop = min(part.start for part in columns), max(part.stop for part in columns)
        if start == stop:
            continue
        part = window, slice(start, stop)
        gx, gz = px[part], pz[window]
        enter, inside, _ = intersect(solid, (gx, np.float32(0), gz), sun)
        # the farther away what casts it, the softer the shadow
        softness = reach * (0.25 + solid.roughness) + 0.12 * np.clip(enter, 0, None)
        start_at = 0.5 if solid.radii is not None else 0.0
        sunlit[part] *= 1 - (0.92 - 0.25 * solid.roughness) * np.clip(start_at + inside / softness, 0, 1)
        if centre[1] < 1.3 * reach:
            near = ((gx - centre[0]) ** 2 + (gz - centre[2]) ** 2) / reach**2
            open_sky[part] = np.minimum(open_sky[part], 1 - 0.45 * np.exp(-1.6 * near))
    size = x.shape[1], x.shape[0]
    grown = [PILImage.fromarray(share).resize(size, PILImage.Resampling.BILINEAR) for share in (sunlit, open_sky)]
    return np.asarray(grown[0]), np.asarray(grown[1])


def _window(values: np.ndarray, low: float, high: float) -> slice:
    """Where monotone `values` lie between `low` and `high`."""
    found = np.flatnonzero((values > low) & (values < high))
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)


def _mirror_in_lake(
    recipe: SceneRecipe,
    light: Light,
    beyond: np.ndarray,
    colour: np.ndarray,
    x: np.ndarray,
    z: np.ndarray,
    first: int,
    edge: float,
) -> None:
    camera = recipe.camera
    near, far = recipe.lake or (0.0, 0.0)
    part = _window(z[:, 0], near, far)
    if part.stop - part.start < 3:
        return
    u, v = x[part] / camera.eye, z[part] / camera.eye
    row = np.arange(part.stop - part.start, dtype=np.float32)[:, None]
    ripple = noise(u * 2 + 90, v * 1.2) * np.clip(row / 20, 0, 1)
    source = np.clip(2 * edge - (first + part.start + row) + 3 * ripple, 0, edge).astype(np.int32)
    mirrored = 0.82 * beyond[:, source, np.arange(camera.width)] + 0.1 * light.zenith[:, None, None]
    shore = 2 * noise(u * 0.5 + 9, 1.7) + noise(u * 2 + 9, 1.7) - 3
    opacity = np.clip(row / 1.5, 0, 1) * np.clip((row[-1] - row + 2 * shore + 3) / 1.5, 0, 1)
    colour[:, part] += (mirrored - colour[:, part]) * opacity
