"""What the syllable encoder should reach, and in words what it did not."""

from components.models.recipes._speech_measures import HEAD_F1, SETS, Metric

UNSEEN, LJ, AWB = SETS["espeak_unseen"], SETS["lj"], SETS["flite_awb"]
Key = tuple[str, str]
AT_LEAST: dict[Key, float] = {
    (HEAD_F1, UNSEEN): 92.0,
    ("head: boundary R-value @50 ms", UNSEEN): 93.0,
    ("head, 20 ms: boundary F1 @50 ms", UNSEEN): 75.0,
    (f"mean of {HEAD_F1}", "the 5 unseen languages"): 85.0,
    (f"worst of {HEAD_F1}", "the 5 unseen languages"): 78.0,
    (HEAD_F1, AWB): 85.0,
    (HEAD_F1, LJ): 74.0,
    ("head: boundary R-value @50 ms", LJ): 78.0,
    ("greedy: boundary F1 @50 ms", UNSEEN): 82.0,
    ("greedy: boundary F1 @50 ms", LJ): 65.0,
    ("K=1000 syllable purity by features", UNSEEN): 0.62,
    ("same syllable in another voice by features", UNSEEN): 0.65,
}
AT_MOST: dict[Key, float] = {
    ("categorical sharpness index of features", "word pairs as articulatory continua of 11 steps"): 0.19,
}
LOST = {"white noise at 10 dB": 6.0, "babble of 6 at 10 dB": 6.0, "G.711 at 8 kHz": 4.0}  # points of F1


def aims_missed(rows: list[Metric]) -> list[str]:
    """Return one sentence for every aim that the rows of a card do not reach; aims without a row are mute."""
    found: dict[Key, float] = {(m["name"], m["on"]): m["value"] for m in rows}
    floors = dict(AT_LEAST)
    for name, on in found:
        for channel, points in LOST.items():
            if name == f"head, {channel}: boundary F1 @50 ms":
                floors[name, on] = round(found[HEAD_F1, on] - points, 2)
    sides = [(key, aim, "least", found[key] < aim) for key, aim in floors.items() if key in found]
    sides += [(key, aim, "most", found[key] > aim) for key, aim in AT_MOST.items() if key in found]
    return [
        f"Aim missed: {name} ({on}) should be at {side} {aim:g}; it is {found[name, on]:g}."
        for (name, on), aim, side, short in sides
        if short
    ]
