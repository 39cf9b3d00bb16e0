"""Train `syllable-decoder`: one vector a syllable, or one of 1000 units, back to a spectrogram of one voice.

    python -m components.models.recipes.syllable_decoder --data DIR --work DIR --minutes 30

The encoder is the bundled `sylber-small`, which stays as it is; its own segments are used. The start is in
closed form (`_decoder_start`): the spaces in which tokens are read and k-means finds the units, and a
read-out by least squares. From there all weights but the units' space learn by gradients, the matrices of
the deep blocks by Muon, every third clip played from units. The loss is a distance of spectrograms and,
against blur, what a small net that hears phones makes of them (`_phone_ear`, taught before in under a
minute, not shipped).
`--minutes` counts the processor time of all parts of the training; the speech itself, 10,000 sentences, is
made before, once a work folder, in about sixteen minutes, by parts, so that it can be stopped.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from components.models.nets.syllable_decoder import SyllableDecoder, build
from components.models.recipes import _recogniser as ear
from components.models.recipes import _resynthesis_corpus as corpus
from components.models.recipes._decoder_training import Training
from components.models.recipes._phone_ear import taught
from components.models.recipes._resynthesis_scores import (
    AIMS,
    CONTROLS,
    ON,
    Metric,
    measure,
    real_time_factor,
)
from components.models.recipes._run import arguments, digest, publish
from components.models.recipes._speech_corpus import HELD_OUT_BOOKS, english_sentences
from components.models.store import ModelStore
from components.models.weights import matrices, round_as_stored
from components.settings import Settings

NAME, NET = "syllable-decoder", "syllable_decoder"
ARGUMENTS: dict[str, Any] = {"dim": 576, "squeezed": 192, "units": 1000, "hidden": 832, "patch": 192,
                             "bands": 80, "width": 384, "depth": 2}  # fmt: skip
CLIPS, SEED = 10_000, 0  # sentences spoken for training
SOURCES = {
    "text/novels_train.txt": "public domain in the US",
    **{f"text/{book}": "public domain in the US; measured on" for book in HELD_OUT_BOOKS},
}
LIMITS = [
    "Processor time: 16 minutes to speak 10,000 sentences, 1 to teach the net that hears phones, 30 to "
    "train. The log-mel distance on clips left out hardly fell after 20 (3.0 dB from vectors, 4.1 from "
    "units): more speakers and finer units are likelier to help than more time.",
    "Choices were made on sentences of the training novels, none of them trained on; the test was "
    "measured when the weights were final, first with tokens in 16 bits (36.8 and 53.2 %; awb 58.8 and "
    "77.5 %). On 64 such sentences (613 words) 30 and 45 % of the words were wrong from vectors and "
    "from units, 33 and 50 % after 5 of the 30 minutes, 25 % in the recordings through the vocoder; the "
    "decoder before, of 13 minutes on 3,000 sentences and without hearing phones, had 48 and 69 %.",
    "Tried for 1.2 minutes each, on 40 of these sentences (329 words), the first two with half of the "
    "speech: without the net that hears phones 51 and 77 %; with it 50 and 75 %; units found by phones, "
    "and tokens read in the same space, 55 and 59 %; each in a space of its own, as shipped, 50 and 61 %; "
    "the phones' part of the loss three times heavier 55 and 64 %. A difference under 5 points is within "
    "chance there.",
    "A speaker never trained on is understood far worse, and from vectors the sound is further from the "
    "voice's own (6.5 dB) than from units (5.8 dB), which forget the speaker.",
    "One synthetic voice: whatever speaker is heard, flite's slt answers. No real speech was trained on.",
    "The vocoder guesses the phase: the sound is robotic, and how natural it is was not measured.",
    "A token here is not the encoder's flat feature of 64 numbers but one vector of 576: the mean of the "
    "encoder's last states (192) over each third of the segment. The flat feature says too little of "
    "onset and coda.",
    "Length, mean pitch and level of each syllable are given beside the token or unit and cost bits too.",
    "The recogniser makes errors of its own: read each rate beside that of the recording. Sentences with "
    "words that it does not know were left out.",
]


def in_8_bits(net: SyllableDecoder) -> tuple[str, ...]:
    """Name the matrices stored in 8 bits: all but the space in which the units were found."""
    return tuple(name for name in matrices(net) if not name.startswith("place"))


def listener() -> corpus.Listener:
    """Return the bundled encoder on one thread."""
    return corpus.Listener(ModelStore(Settings(threads=1)))


def training_clips(data: Path, work: Path, seed: int, count: int) -> list[corpus.Clip]:
    """Return what is trained on, made once a work folder."""
    return corpus.training(data, work, seed, count, listener())


def words_known(data: Path) -> set[str]:
    """Return the words of the held-out books that the recogniser can write."""
    lines = [s for book in HELD_OUT_BOOKS for s in english_sentences(data / "text" / book, 1000, 9)]
    return ear.dictionary(ear.recogniser(), {w for line in lines for w in corpus.spelled(line)})


def measuring(data: Path, work: Path) -> dict[str, list[corpus.Clip]]:
    """Return the clips to measure on, made once a work folder, with tokens in 32 bits as the app has them."""

    def make() -> dict[str, list[corpus.Clip]]:
        return corpus.make_measuring(data, listener(), words_known(data))

    return corpus.made_once(work / "measuring.pt", make, np.float32)


def evaluate(model: SyllableDecoder, data: Path, work: Path) -> list[Metric]:
    """Recompute the card's metrics; the training speech is made again where the work folder lacks it."""
    return measure(model, measuring(data, work), training_clips(data, work, SEED, CLIPS))


def options_of(parser: argparse.ArgumentParser) -> None:
    """Add this recipe's own options."""
    parser.add_argument("--clips", type=int, default=48, help="clips a step")
    parser.add_argument("--sentences", type=int, default=CLIPS, help="sentences spoken for training")
    parser.add_argument("--train-only", action="store_true", help="leave the checkpoint, publish nothing")


def finished(training: Training) -> SyllableDecoder:
    """Return the averaged net, rounded to what is shipped."""
    net: SyllableDecoder = training.average.module.eval()
    round_as_stored(net, in_8_bits(net))
    return net


def found(metrics: list[Metric]) -> list[str]:
    """Say in a sentence how far the word error rates are from their aims and from the controls."""
    test, unseen = ({m["name"]: m["value"] for m in metrics if m["on"] == ON[group]} for group in ON)
    ours = {kind: f"word error rate, {kind} (aim: at most {aim})" for kind, aim in AIMS.items()}
    rates = "; ".join(
        f"{test[name]:.1f} % from {kind} (aim {AIMS[kind]}{', missed' if test[name] > AIMS[kind] else ''}), "
        f"{unseen[name]:.1f} % of a speaker never trained on" for kind, name in ours.items()
    )
    controls = ", ".join(f"{test[f'word error rate, {kind}']:.1f} % {kind}" for kind in CONTROLS)
    return [f"Words that the recogniser gets wrong: {rates}. Beside them: {controls}."]


def finish(
    training: Training, clips: list[corpus.Clip], options: argparse.Namespace, before: float
) -> None:
    """Round, measure and publish; `before` is the processor time of what came before the training."""
    net = finished(training)
    groups = measuring(options.data, options.work)
    metrics = measure(net, groups, clips)
    seconds = sum(c.said.seconds for c in clips)
    publish(options.out / NAME, NET, ARGUMENTS, net.state_dict(), {
        "licence": "Apache-2.0",
        "recipe": "components.models.recipes.syllable_decoder",
        "command": "python -m components.models.recipes.syllable_decoder --data DIR --work DIR "
        f"--sentences {options.sentences} --minutes {options.minutes:g}",
        "seed": options.seed, "steps": training.step, "cpu_seconds": round(before + training.spent),
        "encoder": "sylber-small", "token": "mean of the last states over each third of a "
        "segment, 3 x 192", "minutes_of_speech": round(seconds / 60, 1),
        "data": [*({"name": name, "sha256": digest([options.data / name]), "licence": licence}
                   for name, licence in SOURCES.items() if (options.data / name).exists()),
                 {"name": "speech made by flite (slt, rms; awb to measure), its own phone times",
                  "sha256": "made on the spot", "licence": "made output"}],
        "metrics": metrics, "limits": [*found(metrics), *LIMITS],
        "real_time_factor": real_time_factor(net, groups["test"]),
    }, in_8_bits=in_8_bits(net))  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Make the speech, teach the ear, train, measure, publish."""
    options = arguments(__doc__ or "", 30, options_of, argv)
    clips = training_clips(options.data, options.work, options.seed, options.sentences)
    options.resume = options.resume and (options.work / f"{NAME}.pt").exists()
    net = build(**ARGUMENTS)
    if not isinstance(net, SyllableDecoder):
        raise TypeError("this recipe trains the syllable decoder")
    heard_by, seconds = taught(options, clips)
    training = Training(options, clips, net, NAME, heard_by)
    training.run()
    if not options.train_only:
        finish(training, clips, options, seconds)


if __name__ == "__main__":
    main()
