import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy import ndimage, stats

from hf_aesthetics.data.rendering import CAUSES, MAX_BLUR, Body, Camera, SceneRecipe, photograph, render_scene
from hf_aesthetics.data.rendering.composition import compose_scene
from hf_aesthetics.data.rendering.geometry import ellipsoid, frustum, gable, intersect, polyhedron
from hf_aesthetics.data.rendering.optics import blur, blur_rows
from hf_aesthetics.data.rendering.scenery import LANDS, MOODS, SUBJECTS, linear, rock
from hf_aesthetics.data.rendering.stream import render_rows


RED, GREY = linear("#d02020", "#808080")
NEAR, FAR = (0.0, 0.25, 2.0), (0.15, 0.3, 4.0)
NEAR_RADIUS, FAR_RADIUS = 0.2, 0.5


def two_balls(aperture=0.0, focus=2.0, **changes):
    """A red ball at 2 m, the subject, half hides a grey one at 4 m. The sun stands to the left."""
    camera = Camera(240, 160, focal_px=260, horizon=60, eye=0.3, aperture=aperture, focus=focus)
    near, far = ellipsoid(NEAR, (NEAR_RADIUS,) * 3, RED), ellipsoid(FAR, (FAR_RADIUS,) * 3, GREY)
    sun = np.array([-0.8, 0.6, 0.0], np.float32)
    recipe = SceneRecipe(1, camera, MOODS["day"], LANDS["snow"], sun, (Body((near,), 2.0), Body((far,), 4.0)))
    return dataclasses.replace(recipe, **changes)


def grey_of(scene):
    return np.asarray(scene.image.convert("L"), dtype=np.float64)


def laplacian_energy(grey, mask):
    return ndimage.laplace(grey)[mask].var()


@pytest.fixture(scope="module")
def scenes():
    """Small versions of the pictures of one seed, in numbers that statistics can be made of."""
    return [render_scene(seed, long_side=112) for seed in range(250)]


def test_a_seed_is_a_picture_bit_for_bit_in_any_order():
    first = render_scene(11)
    others = [render_scene(seed) for seed in (12, 13)]
    again = render_scene(11)
    assert first.jpeg == again.jpeg and first.causes == again.causes
    for name in ("distance", "depth_map", "blur_map", "saliency_map"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert len({first.jpeg, *(scene.jpeg for scene in others)}) == 3


def test_maps_have_the_size_of_the_picture_and_values_from_0_to_1(scenes):
    for scene in scenes:
        width, height = scene.image.size
        assert max(width, height) == 112
        for values in (scene.depth_map, scene.blur_map, scene.saliency_map):
            assert values.shape == (height, width) and values.dtype == np.float32
            assert values.min() >= 0 and values.max() <= 1
        assert scene.depth_map.max() == 1
        assert set(scene.causes) == set(CAUSES) and all(0 <= value <= 1 for value in scene.causes.values())


def test_sizes_and_aspect_ratios_are_mixed():
    recipes = [compose_scene(seed) for seed in range(200)]
    long_sides = {max(recipe.camera.width, recipe.camera.height) for recipe in recipes}
    assert min(long_sides) >= 256 and max(long_sides) <= 448 and len(long_sides) > 100
    shapes = [np.sign(recipe.camera.width - recipe.camera.height) for recipe in recipes]
    assert min(shapes.count(shape) for shape in (-1, 0, 1)) >= 10


def test_distance_is_that_of_the_nearest_surface_on_the_ray():
    scene = photograph(two_balls())
    camera = scene.recipe.camera
    column, row = np.meshgrid(np.arange(240) + 0.5, np.arange(160) + 0.5)
    dx, dy = (column - 120) / 260, (60 - row) / 260
    candidates = [np.where(dy < 0, -camera.eye / np.where(dy < 0, dy, -1), np.inf)]
    for (x, y, z), radius in ((NEAR, NEAR_RADIUS), (FAR, FAR_RADIUS)):
        # |t d - c|² = r² with the eye as origin
        a, b, c = (
            dx**2 + dy**2 + 1,
            dx * x + dy * (y - camera.eye) + z,
            x**2 + (y - camera.eye) ** 2 + z**2 - radius**2,
        )
        discriminant = b**2 - a * c
        candidates.append(np.where(discriminant > 0, (b - np.sqrt(np.maximum(discriminant, 0))) / a, np.inf))
    expected = np.min(candidates, axis=0)
    # the ground has an end (200 times the distance of the subject), and half-covered pixels go either way
    near_enough = np.isclose(scene.distance, expected, rtol=1e-4) | (expected > 100)
    outline = ndimage.morphological_gradient(np.argmin(candidates, axis=0), 3) > 0
    assert near_enough[~outline].all()
    assert (
        np.isinf(scene.distance[:50]).any()
        and np.isclose(scene.depth_map[62:] * scene.distance[62:], scene.distance.min()).all()
    )
    hidden_part = (candidates[1] < np.inf) & (candidates[2] < np.inf) & ~outline
    assert hidden_part.sum() > 500 and (scene.distance[hidden_part] < 2.1).all()


def test_circle_of_confusion_is_that_of_the_lens_equation():
    focal_length, aperture, focus = 0.05, 0.02, 2.0
    film = 1 / (1 / focal_length - 1 / focus)
    distances = np.array([0.3, 0.7, 1.5, 2.0, 3.7, 20.0])
    images = 1 / (1 / focal_length - 1 / distances)
    pixels_a_metre = 400 / film
    expected = aperture * np.abs(images - film) / images * pixels_a_metre
    camera = Camera(300, 200, focal_px=400, horizon=90, eye=0.2, aperture=aperture, focus=focus)
    np.testing.assert_allclose(camera.circle_of_confusion(distances), expected, rtol=1e-5, atol=1e-5)


def test_blur_map_is_0_in_focus_and_grows_away_from_it():
    recipe = two_balls(aperture=0.02, focus=1.5)
    scene = photograph(recipe)
    ground = np.s_[62:, 2]
    distance, blurred = scene.distance[ground], scene.blur_map[ground]
    sharpest = np.abs(1 / distance - 1 / 1.5).argmin()
    assert blurred.argmin() == sharpest and blurred[sharpest] < 0.02
    assert (np.diff(blurred[: sharpest + 1]) <= 0).all() and (np.diff(blurred[sharpest:]) >= 0).all()
    expected = 0.02 * 260 * np.abs(1 / 1.5 - 1 / distance) / (MAX_BLUR * math.hypot(240, 160))
    np.testing.assert_allclose(blurred, np.minimum(expected, 1), atol=1e-5)
    assert photograph(two_balls(aperture=0.0)).blur_map.max() == 0


def test_what_the_blur_map_calls_blurred_has_lost_its_detail():
    lost, blurred = [], []
    for seed in range(12):
        recipe = compose_scene(seed)
        sharp = dataclasses.replace(recipe, camera=dataclasses.replace(recipe.camera, aperture=0.0), noise=0.0)
        scene, sharp_scene = photograph(dataclasses.replace(recipe, noise=0.0)), photograph(sharp)
        grey, sharp_grey = grey_of(scene), grey_of(sharp_scene)
        for top, left in itertools.product(range(0, grey.shape[0] - 40, 40), range(0, grey.shape[1] - 40, 40)):
            tile = np.s_[top : top + 40, left : left + 40]
            before = ndimage.laplace(sharp_grey)[tile].var()
            if before > 60:
                lost.append(ndimage.laplace(grey)[tile].var() / before)
                blurred.append(scene.blur_map[tile].mean())
    assert len(lost) > 100
    assert stats.spearmanr(lost, blurred).statistic < -0.65
    lost, blurred = np.array(lost), np.array(blurred)
    assert np.median(lost[blurred > 0.5]) < 0.2 < 0.7 < np.median(lost[blurred < 0.05])


def test_subject_lies_where_the_camera_projects_it():
    scene = photograph(two_balls())
    assert scene.subject_position == pytest.approx((120 / 240, (60 + 0.05 / 2 * 260) / 160), abs=0.01)
    # a ball of radius r covers about a disc of radius r f / z
    assert scene.subject_mask.sum() == pytest.approx(math.pi * (0.2 * 260 / 2) ** 2, rel=0.03)


def test_saliency_peaks_on_the_subject(scenes):
    for scene in scenes[:100]:
        height, width = scene.saliency_map.shape
        row, column = np.unravel_index(scene.saliency_map.argmax(), scene.saliency_map.shape)
        assert scene.subject_mask[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4].max() > 0.4
        centre = ndimage.center_of_mass(scene.saliency_map)
        expected = scene.subject_position[1] * height, scene.subject_position[0] * width
        assert math.dist(centre, expected) < 0.04 * math.hypot(width, height)
        assert scene.saliency_map.max() <= scene.causes["saliency"] + 1e-5


def test_what_stands_in_front_hides_the_subject():
    recipe = two_balls()
    near, far = recipe.bodies
    behind = photograph(dataclasses.replace(recipe, bodies=(far, near)))
    alone = photograph(dataclasses.replace(recipe, bodies=(far,)))
    in_front = photograph(recipe)
    np.testing.assert_allclose(behind.subject_mask, alone.subject_mask * (1 - in_front.subject_mask), atol=1e-5)
    assert 1000 < behind.subject_mask.sum() < alone.subject_mask.sum() - 1000


def test_shadow_falls_away_from_the_sun():
    scene = photograph(two_balls())
    grey = grey_of(scene)
    camera = scene.recipe.camera
    # the ray through the centre of the near ball meets the ground here
    shadow_x = NEAR[0] + 0.8 / 0.6 * NEAR[1]
    shadow, mirrored = (camera.project((x, 0, NEAR[2])) for x in (shadow_x, -shadow_x))
    brightness = [
        grey[int(row) - 2 : int(row) + 3, int(column) - 2 : int(column) + 3].mean()
        for column, row in (shadow, mirrored)
    ]
    assert brightness[0] < 0.75 * brightness[1]


def test_light_side_of_a_ball_faces_the_sun():
    scene = photograph(two_balls())
    column, row = (int(v) for v in scene.recipe.camera.project(NEAR))
    grey = grey_of(scene)
    assert grey[row - 8, column - 14] > 1.3 * grey[row - 8, column + 14]


@pytest.mark.parametrize("diameter", [1.0, 2.6, 4.0, 6.9, 7.1, 12.0, 23.0])
def test_spot_of_a_point_has_the_variance_of_a_disc_and_loses_no_light(diameter):
    point = np.zeros((2, 97, 95), np.float32)
    point[:, 48, 47] = 1
    spot = blur(point, diameter)[1].astype(np.float64)
    assert spot.min() >= 0 and spot.sum() == pytest.approx(1, abs=1e-5)
    centre = np.array(ndimage.center_of_mass(spot))
    assert np.abs(centre - (48, 47)).max() <= max(0.5, 0.07 * diameter) + 1e-3
    for axis in (0, 1):
        marginal = spot.sum(1 - axis)
        variance = marginal @ (np.arange(len(marginal)) - centre[axis]) ** 2
        assert variance == pytest.approx(diameter**2 / 16, rel=0.02)


def test_blur_by_row_agrees_with_blur_where_the_diameter_does_not_change():
    planes = np.random.default_rng(0).random((3, 60, 40), dtype=np.float32)
    for diameter in (0.0, 3.0, 12.0):
        by_row = blur_rows(planes, np.full(60, diameter))
        np.testing.assert_allclose(by_row, blur(planes, diameter), atol=1e-6)
    flat = np.full((1, 60, 40), 0.3, np.float32)
    np.testing.assert_allclose(blur_rows(flat, np.linspace(0, 20, 60)), flat, atol=1e-5)


@pytest.mark.parametrize(
    "solid",
    [
        frustum((0.1, 0, 3), 0.5, 0.2, 0.8, RED, sides=5, turn=0.4),
        frustum((0, 0, 3), 0.6, 0.6, 0.6, RED, sides=4),
        gable((0, 0.1, 3), 0.5, 0.7, 0.6, RED, GREY, 0.7),
        ellipsoid((0, 0.4, 3), (0.6, 0.3, 0.5), RED),
        rock(np.array([0.0, 0.2, 3.0]), 0.7, GREY, np.random.default_rng(3))[0],
    ],
    ids=["frustum", "box", "gable", "ellipsoid", "rock"],
)
def test_ray_meets_a_solid_where_marching_along_it_does(solid):
    rng = np.random.default_rng(1)
    dx, dy = rng.uniform(-0.22, 0.22, (2, 1, 150)).astype(np.float32)
    origin = np.array([0, 0.35, 0], np.float32)
    crossing = intersect(solid, origin, (dx, dy, np.float32(1)))
    steps = np.linspace(1.5, 4.5, 3001)
    points = np.stack([dx[0, :, None] * steps, 0.35 + dy[0, :, None] * steps, np.broadcast_to(steps, (150, 3001))], -1)
    offset = points - solid.centre
    if solid.radii is not None:
        within = ((offset / solid.radii) ** 2).sum(-1) <= 1
    else:
        within = (offset @ solid.normals.T <= solid.offsets).all(-1)
    hit = within.any(1)
    assert 20 < hit.sum() < 130
    missed = np.abs(crossing.inside[0]) > 0.01
    np.testing.assert_array_equal(hit[missed], crossing.inside[0][missed] > 0)
    both = hit & missed
    np.testing.assert_allclose(crossing.enter[0][both], steps[within.argmax(1)][both], atol=2e-3)
    # nothing sticks out of the box that bounds the painted window
    assert (np.abs(offset[within]) <= solid.extent + 1e-4).all()


def test_polyhedron_scales_its_normals():
    cube = polyhedron((0, 0, 0), np.concatenate([np.eye(3), -np.eye(3)]) * 7, [7] * 6, (1, 1, 1), GREY)
    np.testing.assert_allclose(np.linalg.norm(cube.normals, axis=1), 1)
    np.testing.assert_allclose(cube.offsets, 1)


@pytest.mark.parametrize("build", SUBJECTS, ids=lambda build: build.__name__)
def test_every_subject_fills_its_height(build):
    foot = np.array([0.0, 0.0, 3.0])
    solids = tuple(build(foot, 1.0, GREY, RED, 0.6))
    camera = Camera(300, 300, focal_px=300, horizon=150, eye=0.5)
    sun = np.array([0.0, 1.0, 0.0], np.float32)
    scene = photograph(SceneRecipe(0, camera, MOODS["day"], LANDS["meadow"], sun, (Body(solids, 3.0),)))
    rows = np.flatnonzero((scene.subject_mask > 0.5).any(1))
    top, bottom = 150 - 0.5 * 100, 150 + 0.5 * 100
    # a picture shows the front of a round body from a little above
    assert rows[0] == pytest.approx(top, abs=15) and rows[-1] == pytest.approx(bottom, abs=25)


@pytest.mark.parametrize(
    ("cause", "recipes"),
    [
        ("focus", [two_balls(0.03, focus) for focus in (0.8, 1.2, 2.0)]),
        ("light", [two_balls(stops=stops) for stops in (-3.5, -2.0, -0.7)]),
        ("light", [two_balls(stops=stops) for stops in (3.0, 1.5, -0.7)]),
        ("colour", [two_balls(saturation=saturation) for saturation in (0.0, 0.5, 1.5)]),
    ],
    ids=["focus", "underexposed", "overexposed", "colour"],
)
def test_setting_of_the_camera_moves_its_cause_and_no_position(cause, recipes):
    measured = [photograph(recipe).causes for recipe in recipes]
    values = [causes[cause] for causes in measured]
    assert values[0] < values[1] - 0.05 < values[2] - 0.1
    assert len({round(causes["depth"], 6) for causes in measured}) == 1
    assert max(causes["composition"] for causes in measured) < 0.4


def test_composition_is_best_on_the_thirds():
    def at(column, row):
        ball = ellipsoid(((column - 120) * 2 / 260, 0.3 + (60 - row) * 2 / 260, 2.0), (0.1,) * 3, RED)
        return photograph(dataclasses.replace(two_balls(), bodies=(Body((ball,), 2.0),))).causes["composition"]

    assert at(80, 160 / 3) == pytest.approx(1, abs=0.03)
    assert at(160, 160 / 3) == pytest.approx(1, abs=0.03)
    assert at(100, 200 / 3) == pytest.approx(0.5, abs=0.03)
    assert at(120, 80) == pytest.approx(0, abs=0.03)
    assert at(20, 20) < 0.05


def test_saliency_is_the_contrast_of_the_subject():
    ground = linear(LANDS["snow"].bright, LANDS["snow"].dark).mean(0)
    values = []
    for share in (0.0, 0.5, 1.0):
        ball = ellipsoid((0, 0.12, 2.0), (0.12,) * 3, ground + share * (RED - ground))
        values.append(photograph(dataclasses.replace(two_balls(), bodies=(Body((ball,), 2.0),))).causes["saliency"])
    assert values[0] < values[1] < values[2] and values[2] - values[0] > 0.15


def test_causes_are_close_to_independent_and_spread_as_documented(scenes):
    values = np.array([list(scene.causes.values()) for scene in scenes])
    correlations = np.corrcoef(values.T)[np.triu_indices(len(CAUSES), 1)]
    assert np.abs(correlations).max() < 0.25
    for name, measured in zip(scenes[0].causes, values.T, strict=True):
        assert measured.mean() == pytest.approx(CAUSES[name].mean, abs=0.05)
        assert measured.std() == pytest.approx(CAUSES[name].std, abs=0.04)


def test_a_lost_process_is_reported():
    # a negative seed ends the process that has to render it
    with pytest.raises(RuntimeError, match="exit code 1 before scene -2"):
        list(render_rows(range(-2, 0), with_maps=False, num_proc=2))
