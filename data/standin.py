"""Stand-ins for the published data, drawn where neither network nor mirror is there, so that everything runs anywhere.

Digits come from the fonts that matplotlib ships, clothes from silhouettes with texture; each image is a template
under a random distortion, blur and noise. Sequences come from fair bits and from a model of human randomness. They
have the shapes and types of the real data, and are deterministic; nothing learned on them says anything about the real
data, so each file is marked and every report made from it says STAND-IN DATA.
"""
from pathlib import Path

import numpy as np

SOURCE = {
    "mnist": "STAND-IN DATA: digits drawn from fonts, not MNIST",
    "fashion-mnist": "STAND-IN DATA: drawn silhouettes, not Fashion-MNIST",
    "sequences": "STAND-IN DATA: simulated human/machine sequences, not typed by people",
}
SIDE = 64             # pixels of a template; an image has 28
VARIANTS = 60         # templates per class of clothes
CHUNK = 2_000         # images drawn at a time: bounds memory
PERSONS, PER_PERSON = 204, 25  # 5,100 sequences, as in the course's file
FONTS = ("DejaVuSans[-.M]*", "DejaVuSerif[-.]*", "STIXGeneral*", "cm[brt]*", "cmss10*")  # those with digits

AXIS = np.linspace(-1, 1, 28, dtype=np.float32)
V, U = AXIS[:, None], AXIS[None, :]  # down and across an image

# Standard deviations of the distortion: rotation and shear (radians), log-size, shift and wave (in half images), and of
# the noise. Chosen so that accuracies are not 100 %: an MLP 784-128-10 gets 97.7 % and 86.9 % after 10 epochs of SGD.
DIGITS = {"turn": 0.22, "shear": 0.25, "size": 0.13, "shift": 0.07, "wave": 0.075, "noise": 0.10}
CLOTHES = {"turn": 0.08, "shear": 0.08, "size": 0.10, "shift": 0.05, "wave": 0.05, "noise": 0.08}


def images(kind, count, seed):
    """`count` images (count, 28, 28) uint8 and their classes (count,) uint8, equally many of each.

    kind: "mnist" (digits) or "fashion-mnist" (clothes). Different seeds share the templates, as a training and a
    test set share the writers' habits.
    """
    rng = np.random.default_rng([len(kind), seed])
    templates, distortion = (_digit_templates(), DIGITS) if kind == "mnist" else (_clothes_templates(), CLOTHES)
    labels = rng.permutation(np.arange(count) % 10).astype(np.uint8)
    pictures = np.empty((count, 28, 28), np.uint8)
    for start in range(0, count, CHUNK):
        classes = labels[start:start + CHUNK]
        which = rng.integers(0, templates.shape[1], len(classes))
        drawn = _distorted(templates[classes, which], distortion, rng)
        if kind != "mnist":
            drawn *= _texture(len(classes), rng)
        drawn += distortion["noise"] * rng.standard_normal(drawn.shape, np.float32) * (drawn > 0.02)
        pictures[start:start + CHUNK] = np.clip(255 * drawn, 0, 255)
    return pictures, labels


def sequences(persons=PERSONS, seed=0):
    """human, machine: each (25 persons, 20) int8 of -1 and +1, 25 rows a person in a block; machine bits are fair.

    The human model, a choice at each step whether to alternate, with
        logit P(alternate) = a + r (run length - 1) + b * (current symbol) * (sum of the symbols so far)
    has what experiments agree on: people alternate more often than a fair coin, about 0.6 of the time (a > 0), avoid
    long runs (r > 0), balance even short sequences (b > 0), and differ from one another (a, r, b drawn per person).
    W. A. Wagenaar, Generation of random sequences by human subjects: a critical survey of literature, Psychological
    Bulletin 77 (1972) 65-72; R. Falk and C. Konold, Making sense of randomness, Psychological Review 104 (1997)
    301-318; R. S. Nickerson, The production and perception of randomness, Psychological Review 109 (2002) 330-357.
    """
    rng = np.random.default_rng(seed)
    count = persons * PER_PERSON
    a, r, b = (np.repeat(rng.normal(mean, deviation, persons), PER_PERSON)
               for mean, deviation in ((0.15, 0.45), (0.35, 0.15), (0.12, 0.06)))
    human = np.empty((count, 20), np.int8)
    symbol = rng.choice(np.array([-1, 1], np.int8), count)
    run, total = np.ones(count), np.zeros(count)
    for step in range(20):
        human[:, step] = symbol
        total += symbol
        alternate = rng.random(count) < 1 / (1 + np.exp(-(a + r * (run - 1) + b * symbol * total)))
        symbol = np.where(alternate, -symbol, symbol)
        run = np.where(alternate, 1, run + 1)
    return human, rng.choice(np.array([-1, 1], np.int8), (count, 20))


def _distorted(templates, strength, rng):
    """Images (n, 28, 28) float32: templates (n, SIDE, SIDE) under random affine maps and waves, then blurred."""
    n = len(templates)

    def normal(name):
        return strength[name] * rng.standard_normal((n, 1, 1), np.float32)

    def uniform():
        return rng.random((n, 1, 1), np.float32)

    def wave(along):
        return normal("wave") * np.sin((2 + 3 * uniform()) * along + 9 * uniform())

    turn, size_u, size_v = normal("turn"), np.exp(normal("size")), np.exp(normal("size"))
    slant = normal("shear")
    # Where in the template each pixel of the image comes from: the inverse map, so no pixel is left out.
    x = size_u * (np.cos(turn) * U + (np.sin(turn) + slant) * V) + normal("shift") + wave(V)
    y = size_v * (np.cos(turn) * V - np.sin(turn) * U) + normal("shift") + wave(U)
    return _blurred(_sampled(templates, x, y), uniform())


def _sampled(templates, x, y):
    """Bilinear interpolation of each template at (x, y) in -1..1; outside, its border (which is empty)."""
    scale = np.float32((SIDE - 1) / 2)
    x = np.clip((x + 1) * scale, 0, SIDE - 1.001)
    y = np.clip((y + 1) * scale, 0, SIDE - 1.001)
    column, row = x.astype(np.int32), y.astype(np.int32)
    x -= column
    y -= row
    corner = (np.arange(len(templates), dtype=np.int32) * SIDE * SIDE)[:, None, None] + row * SIDE + column
    flat = templates.reshape(-1)
    upper = flat[corner] * (1 - x) + flat[corner + 1] * x
    lower = flat[corner + SIDE] * (1 - x) + flat[corner + SIDE + 1] * x
    return upper * (1 - y) + lower * y


def _blurred(images, share):
    """A mix of each image and its 3x3 binomial blur, (1 2 1)/4 along rows and columns."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    blurred = (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16
    return (1 - share) * images + share * blurred


def _texture(n, rng):
    """Shades (n, 28, 28) float32 around one brightness per image: soft folds and, on a third, stripes."""
    def uniform(low, high):
        return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)

    folds = 0.10 * np.sin(uniform(1, 6) * U + uniform(-4, 4) * V + uniform(0, 6.3))
    across = uniform(0, 1) < 0.7  # stripes mostly run across
    stripes = np.sin(uniform(8, 25) * np.where(across, V, U) + uniform(0, 6.3))
    stripes *= uniform(0.1, 0.5) * (uniform(0, 1) < 0.35)
    return uniform(0.35, 1.0) * (1 + folds + stripes)


def _digit_templates():
    """(10, fonts, SIDE, SIDE) float32: the ten digits in every font, centred, of one height."""
    from matplotlib import get_data_path  # only a stand-in needs matplotlib
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    fonts = sorted(font for pattern in FONTS for font in Path(get_data_path(), "fonts", "ttf").glob(pattern))
    templates = np.empty((10, len(fonts), SIDE, SIDE), np.float32)
    for column, font in enumerate(fonts):
        for digit in range(10):
            outline = TextPath((0, 0), str(digit), size=100, prop=FontProperties(fname=font))
            box = outline.get_extents()
            contours = [(points - (box.p0 + box.p1) / 2) * (1.4 / box.height) for points in outline.to_polygons()]
            # Even-odd rule: the inner contour of a 0, 4, 6, 8 or 9 is a hole.
            templates[digit, column] = np.logical_xor.reduce([_inside(contour) for contour in contours])
    return _soft(templates)


def _inside(polygon):
    """(SIDE, SIDE) bool: which pixels of a template lie in a polygon (k, 2) with x to the right and y up, -1..1."""
    from matplotlib.path import Path as Outline

    axis = np.linspace(-1, 1, SIDE)
    points = np.stack(np.meshgrid(axis, -axis), axis=-1).reshape(-1, 2)
    return Outline(polygon).contains_points(points).reshape(SIDE, SIDE)


def _soft(templates):
    """Smooth edges, so that sampling at half the resolution makes no jagged ones."""
    flat = templates.reshape(-1, SIDE, SIDE)
    return _blurred(_blurred(flat, 1.0), 1.0).astype(np.float32).reshape(templates.shape)


def _clothes_templates():
    """(10, VARIANTS, SIDE, SIDE) float32 shades: Fashion-MNIST's classes, each drawn with varied proportions."""
    rng = np.random.default_rng(28)
    draw = (_t_shirt, _trouser, _pullover, _dress, _coat, _sandal, _shirt, _sneaker, _bag, _ankle_boot)
    templates = np.zeros((10, VARIANTS, SIDE, SIDE), np.float32)
    for garment, variants in zip(draw, templates):
        for canvas in variants:
            for polygon, shade in garment(rng.uniform):
                canvas[_inside(np.array(polygon))] = shade
    return _soft(templates)


# Each garment is a list of (polygon, shade), painted in this order; `uniform(low, high)` varies the proportions.

def _mirrored(right):
    """A symmetric outline from its right half, top to bottom."""
    return [*right, *[(-x, y) for x, y in reversed(right)]]


def _upper(uniform, hem, sleeve, width, neck):
    """Body with sleeves: `sleeve` 0 (none) .. 1 (to the hip), `width` of the body, `neck` depth."""
    shoulder, waist = width + uniform(0.02, 0.12), width * uniform(0.85, 1.05)
    out, down = shoulder + 0.12 + 0.22 * min(sleeve, 0.6), 0.72 - 1.25 * sleeve
    cuff = uniform(0.16, 0.22)
    arm = [(out, down), (out - cuff, down - 0.06)] if sleeve else []
    outline = [(0, 0.85 - neck), (0.17, 0.85), (shoulder, 0.72), *arm, (width, 0.35), (waist, -0.2), (width * 1.02, hem)]
    return _mirrored(outline)


def _t_shirt(uniform):
    return [(_upper(uniform, uniform(-0.85, -0.7), uniform(0.2, 0.42), uniform(0.38, 0.5), uniform(0.04, 0.25)), 1)]


def _shirt(uniform):
    """Between T-shirt, pullover and coat: any sleeve, mostly a collar and a row of buttons."""
    sleeve = uniform(0.25, 0.5) if uniform(0, 1) < 0.4 else uniform(0.85, 1.1)
    parts = [(_upper(uniform, uniform(-0.88, -0.7), sleeve, uniform(0.36, 0.5), uniform(0.02, 0.2)), 1)]
    if uniform(0, 1) < 0.6:
        parts += [(_mirrored([(0.02, 0.7), (0.02, -0.8)]), 0.75), (_mirrored([(0.2, 0.88), (0.16, 0.62), (0, 0.74)]), 0.85)]
    return parts


def _pullover(uniform):
    parts = [(_upper(uniform, uniform(-0.85, -0.68), uniform(0.9, 1.12), uniform(0.4, 0.52), uniform(0.0, 0.12)), 1)]
    if uniform(0, 1) < 0.5:  # ribbed hem
        parts.append((_mirrored([(0.45, -0.62), (0.45, -0.66)]), 0.8))
    return parts


def _coat(uniform):
    parts = [(_upper(uniform, uniform(-0.92, -0.75), uniform(0.9, 1.15), uniform(0.4, 0.52), uniform(0.0, 0.15)), 1)]
    if uniform(0, 1) < 0.75:  # open in front
        parts.append((_mirrored([(uniform(0.01, 0.05), 0.8), (uniform(0.01, 0.06), -0.92)]), uniform(0.3, 0.7)))
    return parts


def _dress(uniform):
    top, waist, hem = uniform(0.2, 0.34), uniform(0.15, 0.28), uniform(0.25, 0.55)
    sleeve = uniform(0, 1) < 0.35
    arm = [(top + 0.2, 0.45), (top + 0.08, 0.35)] if sleeve else []
    return [(_mirrored([(0.05, 0.8), (0.12, 0.92), (top, 0.75), *arm, (top, 0.4), (waist, 0.15), (hem, -0.92)]), 1)]


def _trouser(uniform):
    hip, foot, gap = uniform(0.25, 0.36), uniform(0.12, 0.2), uniform(0.03, 0.1)
    crotch = uniform(0.3, 0.5)
    return [(_mirrored([(hip, 0.92), (hip + 0.04, 0.5), (gap + 2 * foot, -0.92), (gap, -0.92), (0.01, crotch)]), 1)]


def _shoe(uniform, ankle, height, toe):
    """Outline of a shoe that points to the left: height of shaft and ankle, height of the toe."""
    return [(-0.85, -0.5), (-0.92, toe - 0.6), (-0.8, toe - 0.42), (-0.4, toe - 0.3), (ankle - 0.15, 0.35 * height - 0.1),
            (ankle, height), (0.85, height + uniform(-0.05, 0.05)), (0.82, -0.1), (0.9, -0.5)]


def _sole(top, heel=0.0):
    return [(-0.93, -0.5), (-0.93, top), (0.92, top + heel), (0.92, -0.55), (0.45, -0.55), (0.35, -0.5)]


def _sneaker(uniform):
    return [(_shoe(uniform, uniform(0.0, 0.3), uniform(0.0, 0.2), uniform(0.12, 0.25)), 1), (_sole(-0.4), uniform(0.4, 1.1))]


def _ankle_boot(uniform):
    heel = uniform(0, 0.2)
    return [(_shoe(uniform, uniform(0.0, 0.25), uniform(0.25, 0.85), uniform(0.12, 0.3)), 1),
            ([(0.5, -0.45), (0.88, -0.45), (0.85, -0.5 - heel), (0.6, -0.5 - heel)], 0.8)]


def _sandal(uniform):
    heel, straps = uniform(0, 0.45), int(uniform(1, 4))
    parts = [([(-0.9, -0.5), (-0.9, -0.4), (0.1, -0.35), (0.85, heel - 0.3), (0.9, -0.5), (0.78, -0.5), (0.7, heel - 0.45),
               (0.1, -0.5)], 1)]
    for _ in range(straps):
        left, top, slant = uniform(-0.8, 0.6), uniform(-0.1, 0.3), uniform(-0.3, 0.3)
        strip = [(left, -0.42), (left + slant, top), (left + slant + 0.13, top), (left + 0.16, -0.42)]
        parts.append((strip, uniform(0.6, 1)))
    if uniform(0, 1) < 0.5:  # around the ankle
        parts.append(([(0.3, 0.1), (0.85, 0.2), (0.9, -0.4), (0.8, -0.4), (0.75, 0.08), (0.3, 0.0)], 0.9))
    return parts


def _bag(uniform):
    width, top, bottom, taper = uniform(0.55, 0.92), uniform(-0.05, 0.35), uniform(-0.85, -0.55), uniform(0.8, 1.1)
    body = (_mirrored([(width * taper, top), (width, bottom)]), 1)
    handle, rise = uniform(0.25, 0.6) * width, uniform(0.2, 0.55)
    outer = _mirrored([(0.5 * handle, top + rise), (handle, top)])
    inner = _mirrored([(0.4 * handle, top + rise - 0.09), (0.8 * handle, top)])
    flap = (_mirrored([(width * taper * 0.95, top), (width * 0.7, uniform(-0.4, 0))]), uniform(0.7, 0.95))
    return [(outer, 0.8), (inner, 0), body, *([flap] if uniform(0, 1) < 0.4 else [])]
