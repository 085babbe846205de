"""What the world contains and what it is called: subjects, colours, motions, backgrounds, camera moves, presets.

Two presets. `core` is the small world the transformer learns first: 20 subjects, 7 slow motions, one subject in nine clips
of ten. A small model shares its capacity and its samples among everything it is asked for, and motion was the last
thing to be learned, so the world is cut before the long runs and widened after them. `wide` holds all that is drawn
here; the VAE sees it too, because a later, wider world must not need new latents.
"""
from typing import NamedTuple, Optional


class Subject(NamedTuple):
    glyph: Optional[str]        # None: drawn as a plain shape
    names: tuple                # plain English, the most usual first
    faces_left: bool = False    # mirrored when it moves right
    tinted: bool = False        # comes in every colour, and the caption names it


SUBJECTS = {
    "cat": Subject("\U0001F431", ("cat", "kitten")),
    "dog": Subject("\U0001F436", ("dog", "puppy")),
    "panda": Subject("\U0001F43C", ("panda", "panda bear")),
    "frog": Subject("\U0001F438", ("frog",)),
    "fish": Subject("\U0001F420", ("fish", "tropical fish"), True),
    "turtle": Subject("\U0001F422", ("turtle",), True),
    "penguin": Subject("\U0001F427", ("penguin",)),
    "butterfly": Subject("\U0001F98B", ("butterfly",)),
    "rocket": Subject("\U0001F680", ("rocket", "space rocket")),
    "car": Subject("\U0001F697", ("car", "little car"), True),
    "boat": Subject("\u26F5", ("sailboat", "boat")),
    "apple": Subject("\U0001F34E", ("apple",)),
    "mushroom": Subject("\U0001F344", ("mushroom", "toadstool")),
    "sunflower": Subject("\U0001F33B", ("sunflower", "flower")),
    "pumpkin": Subject("\U0001F383", ("pumpkin", "halloween pumpkin")),
    "snowman": Subject("\u26C4", ("snowman",)),
    "balloon": Subject("\U0001F388", ("balloon",), tinted=True),
    "heart": Subject("\u2764", ("heart",), tinted=True),
    "star": Subject("\u2B50", ("star",), tinted=True),
    "ball": Subject(None, ("ball", "round ball"), tinted=True),
    # the wide world only
    "moon": Subject("\U0001F319", ("moon", "crescent moon")),
    "octopus": Subject("\U0001F419", ("octopus",)),
    "tree": Subject("\U0001F333", ("tree", "green tree")),
    "robot": Subject("\U0001F916", ("robot",)),
    "ghost": Subject("\U0001F47B", ("ghost",)),
    "pizza": Subject("\U0001F355", ("slice of pizza", "pizza")),
    "sun": Subject("\U0001F31E", ("sun", "smiling sun")),
    "flying saucer": Subject("\U0001F6F8", ("flying saucer", "spaceship")),
    "crab": Subject("\U0001F980", ("crab",)),
    "whale": Subject("\U0001F433", ("whale",), True),
    "bee": Subject("\U0001F41D", ("bee", "honeybee")),
    "soccer ball": Subject("\u26BD", ("soccer ball", "football")),
    "square": Subject(None, ("square",), tinted=True),
    "triangle": Subject(None, ("triangle",), tinted=True),
}

COLOURS = {
    "red": (225, 40, 40), "green": (40, 170, 60), "blue": (40, 90, 225), "yellow": (250, 210, 40),
    "purple": (145, 60, 200), "orange": (250, 140, 30), "pink": (250, 130, 190), "white": (245, 245, 245),
}

# finite form and -ing form
MOTIONS = {
    "left": (("moves left", "moving left"), ("moves to the left", "moving to the left"), ("goes left", "going left"),
             ("drifts to the left", "drifting to the left"), ("slides left", "sliding left")),
    "right": (("moves right", "moving right"), ("moves to the right", "moving to the right"), ("goes right", "going right"),
              ("drifts to the right", "drifting to the right"), ("slides right", "sliding right")),
    "up": (("rises", "rising"), ("moves up", "moving up"), ("flies up", "flying up"), ("floats upward", "floating upward"),
           ("goes up", "going up")),
    "down": (("falls", "falling"), ("moves down", "moving down"), ("sinks", "sinking"), ("drops down", "dropping down"),
             ("goes down", "going down")),
    "bounce": (("bounces", "bouncing"), ("bounces up and down", "bouncing up and down"), ("jumps", "jumping"), ("hops", "hopping")),
    "grow": (("grows", "growing"), ("gets bigger", "getting bigger"), ("grows larger", "growing larger"), ("comes closer", "coming closer")),
    "shrink": (("shrinks", "shrinking"), ("gets smaller", "getting smaller"), ("goes away", "going away")),
    "spin": (("spins", "spinning"), ("rotates", "rotating"), ("turns around", "turning around"), ("spins around", "spinning around")),
    "circle": (("circles", "circling"), ("moves in a circle", "moving in a circle"), ("flies in circles", "flying in circles"),
               ("loops around", "looping around")),
    "still": (("stands still", "standing still"), ("stays still", "staying still"), ("rests", "resting"), ("does not move", "holding still")),
}

BACKGROUNDS = {
    "sky": ("in the sky", "in a blue sky", "against a bright blue sky", "in the daytime sky"),
    "night": ("at night", "in the night sky", "under the stars", "in a starry sky"),
    "meadow": ("over a meadow", "in a green meadow", "on the grass", "in a grassy field"),
    "desert": ("in the desert", "over sand dunes", "in a sandy desert", "on the sand"),
    "sea": ("underwater", "under the sea", "in the ocean", "in deep blue water"),
    "snow": ("in the snow", "over snowy hills", "in a snowy landscape", "on a snowy day"),
    "sunset": ("at sunset", "at dusk", "in an orange sunset", "in the evening glow"),
    "wall": ("in front of a {c} wall", "against a {c} wall", "on a plain {c} background"),
}
WALLS = {"red": (170, 70, 70), "green": (110, 160, 110), "blue": (110, 140, 190), "grey": (150, 150, 150),
         "yellow": (220, 205, 130), "pink": (225, 170, 185)}

CAMERAS = {
    "pan left": ("the camera pans left", "with the camera panning left"),
    "pan right": ("the camera pans right", "with the camera panning right"),
    "zoom in": ("the camera zooms in", "with a slow zoom in"),
    "zoom out": ("the camera zooms out", "with a slow zoom out"),
}


class Preset(NamedTuple):
    subjects: tuple
    motions: tuple
    colours: tuple
    backgrounds: tuple
    counts: tuple               # probability of one, two and three subjects
    camera: float               # probability of a camera move


PRESETS = {
    "core": Preset(tuple(SUBJECTS)[:20], tuple(MOTIONS)[:7], tuple(COLOURS)[:6], tuple(BACKGROUNDS), (0.90, 0.10, 0.0), 0.0),
    "wide": Preset(tuple(SUBJECTS), tuple(MOTIONS), tuple(COLOURS), tuple(BACKGROUNDS), (0.70, 0.22, 0.08), 0.25),
}
