"""Every strength of the renderer, in one place."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class RendererConfig:
    """What rendered videos look like; hashable, so a jitted function takes it as static.

    "Strength" is the most that a video can show: each video draws its own share of it, mostly
    small. Lengths in shares of the frame's side carry over to any frame size. In brackets, the
    attributes (see `Video`) that a strength brings about.

    Attributes:
        side: height and width of the frames in pixels; a multiple of 8.
        duration: the span of time, in frames, over which events are spread.
        in_place: probability of a real object in its own photograph, seen by a moving camera;
            otherwise the object is cut out and moves over another photograph.
        target_size: smallest and largest geometric mean of the target's sides at its nominal
            scale, in shares of the frame's side [LR where small].
        movement: strength of the target's path across the frame, in shares of its side.
        shake: strength of hand-held jitter, in shares of the frame's side.
        fast_move: probability of one sudden move, over about four frames [FM, MB].
        leave: probability that the target leaves the view once [OV].
        scale: strength of scale change, natural logarithm [SV].
        rotation: strength of in-plane rotation, radians [IPR].
        tilt: strength of out-of-plane rotation, radians [OPR].
        deformation: strength of non-rigid deformation, in shares of half the object's side [DEF].
        camera: strength of the camera's travel, as a share of the photograph left to travel over.
        clutter: probability that a cut-out target moves over the photograph that it was cut from,
            whose colours and textures are its own [BC].
        distractors: slots for look-alikes and other objects near the target.
        distractor: probability that such a slot is filled [BC].
        same_object: probability that a distractor is the target's own cut-out, recoloured;
            otherwise it is another object, of the same category where the bank knows one.
        occluders: slots for objects that pass in front of the target.
        occluder: probability that such a slot is filled [OCC].
        appearance: strength of an object's own change of colour, brightness, contrast [IV].
        illumination: strength of the whole scene's change of brightness, natural logarithm [IV].
        shadow: probability that the edge of a shadow sweeps over the scene [IV].
        grey: probability of a grey video; over a grey photograph a video is always grey.
        shutter: longest exposure in frame intervals: the length of motion blur [MB].
        subframes: samples that make up one exposure; they also antialias.
        softness: strength of defocus and low resolution: standard deviation of a blur in pixels.
        noise: strength of sensor noise, standard deviation in grey levels.
        compression: strength of block compression: quantization step in grey levels.
    """

    side: int = 256
    duration: float = 60.0
    in_place: float = 0.5
    target_size: tuple[float, float] = (0.1, 0.3)
    movement: float = 0.35
    shake: float = 0.012
    fast_move: float = 0.25
    leave: float = 0.08
    scale: float = 0.6
    rotation: float = 0.9
    tilt: float = 0.9
    deformation: float = 0.25
    camera: float = 1.0
    clutter: float = 0.1
    distractors: int = 2
    distractor: float = 0.5
    same_object: float = 0.4
    occluders: int = 1
    occluder: float = 0.35
    appearance: float = 0.5
    illumination: float = 0.6
    shadow: float = 0.2
    grey: float = 0.1
    shutter: float = 1.0
    subframes: int = 4
    softness: float = 1.6
    noise: float = 10.0
    compression: float = 24.0
