"""Simple substitution ciphers over an alphabet of 32 symbols: encipher, break by frequency, score a key.

A text is a string of symbols 0 to 31 (`symbols`, `spell`). A key (32,) says what each plain symbol is
written as: `cipher[i] = key[plain[i]]`. Breaking a cipher is finding the inverse, so what breakers return
(`frequency_guess`, `one_to_one`) is a reading (32,): the plain symbol behind each cipher symbol.
"""

import numpy as np
from numpy.typing import NDArray

Symbols = NDArray[np.int64]
Reals = NDArray[np.float64]

ALPHABET = "abcdefghijklmnopqrstuvwxyz \n.,'"  # 31 characters; every other one is OTHER
OTHER = 31
SIZE = 32
OTHER_SIGN = "·"
# How often each of them comes in 59 million characters of English novels, 1839 to 1927, per 100,000.
FREQUENCIES = (
    6280, 1171, 1767, 3506, 9663, 1728, 1577, 5154, 5212, 92, 659, 3228, 2062, 5300, 5980, 1235,
    78, 4502, 4882, 6868, 2224, 727, 1905, 105, 1636, 35, 17294, 1246, 895, 1415, 390, 1184,
)  # fmt: skip
_QUOTES = "‘’"  # typographic apostrophes read as the plain one


def symbols(text: str) -> Symbols:
    """Return the symbols (characters,) of a lower-cased text; what is not in it is OTHER."""
    points = np.frombuffer(text.lower().encode("utf-32-le"), dtype=np.uint32)
    table = np.full(0x3000, OTHER, dtype=np.int64)
    for i, character in enumerate(ALPHABET):
        table[ord(character)] = i
    for quote in _QUOTES:
        table[ord(quote)] = ALPHABET.index("'")
    found: Symbols = table[np.minimum(points, len(table) - 1)]
    return found


def spell(tokens: Symbols) -> str:
    """Return the text of symbols, OTHER as a middle dot."""
    letters = ALPHABET + OTHER_SIGN
    return "".join(letters[i] for i in np.asarray(tokens).tolist())


def fresh_key(seed: int) -> Symbols:
    """Return a key (32,) drawn uniformly from all permutations of the alphabet."""
    return np.random.default_rng(seed).permutation(SIZE)


def encipher(plain: Symbols, key: Symbols) -> Symbols:
    """Return the cipher text of plain symbols."""
    return key[plain]


def true_reading(key: Symbols) -> Symbols:
    """Return the plain symbol behind each cipher symbol (32,): the inverse of the key."""
    return np.argsort(key)


def frequency_guess(cipher: Symbols) -> Symbols:
    """Read the commonest cipher symbol as English's commonest, the next as the next, and so on.

    Symbols equally common in the cipher text (those that do not occur among them) keep their order.
    """
    counts = np.bincount(cipher, minlength=SIZE)
    reading = np.empty(SIZE, dtype=np.int64)
    reading[np.argsort(-counts, kind="stable")] = np.argsort(-np.array(FREQUENCIES), kind="stable")
    return reading


def gather(cipher: Symbols, beliefs: Reals) -> Reals:
    """Return the mean of beliefs (positions, 32) over the occurrences of each cipher symbol: (32, 32).

    The row of a symbol that does not occur is 0.
    """
    total = np.zeros((SIZE, beliefs.shape[1]))
    np.add.at(total, cipher, beliefs)
    mean: Reals = total / np.maximum(1, np.bincount(cipher, minlength=SIZE))[:, None]
    return mean


def one_to_one(evidence: Reals, counts: Symbols) -> Symbols:
    """Return the reading (32,) that gives every cipher symbol its own plain one and most evidence in sum.

    `evidence` (32, 32) is in nats, cipher by plain; each row counts as often as its symbol occurs.
    """
    from scipy.optimize import linear_sum_assignment

    _, reading = linear_sum_assignment(evidence * counts[:, None], maximize=True)
    return np.asarray(reading, dtype=np.int64)


def key_accuracy(cipher: Symbols, reading: Symbols, key: Symbols) -> float:
    """Return the share of the cipher text's characters that a reading decodes rightly, 0 to 1."""
    if len(cipher) == 0:
        return 0.0
    return float(np.mean(reading[cipher] == true_reading(key)[cipher]))
