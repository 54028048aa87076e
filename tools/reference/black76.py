"""Independent reference of the pricing functions: mpmath at 80 digits, textbook formulas, no code shared with the product.

Writes vectors/num/{functions,black76}.json. Integers are strings; scale 2^48 ("Q48").

    pip install mpmath && python3 tools/reference/black76.py
"""
import json
import random
from pathlib import Path
from mpmath import mp, mpf, erfc, exp, floor, log, sqrt, nstr

mp.dps = 80
SCALE = mpf(2) ** 48
SEED = 20240615
OUT = Path(__file__).resolve().parents[2] / "vectors" / "num"


def q48(x):
    return int(floor(x * SCALE))


def cdf(x):
    return erfc(-x / sqrt(mpf(2))) / 2


def black76(forward, strike, deviation, is_call):
    """Undiscounted, in the unit of the forward."""
    sign = 1 if is_call else -1
    if deviation == 0:
        return max(mpf(0), sign * (forward - strike))
    d1 = log(forward / strike) / deviation + deviation / 2
    return sign * (forward * cdf(sign * d1) - strike * cdf(sign * (d1 - deviation)))


def functions(rng):
    cases = []

    def add(name, x, value):
        cases.append({"function": name, "x": str(x), "expected": str(q48(value)), "decimal": nstr(value, 65)})

    exp_points = [0, -1, 1, -(2**48), 2**48, -(32 * 2**48), 3 * 2**48]
    exp_points += [rng.randint(-32 * 2**48, 3 * 2**48) for _ in range(150)]
    exp_points += [-int(n * log(mpf(2)) * SCALE) + d for n in range(0, 46, 5) for d in (-1, 0, 1, 2)]
    for x in exp_points:
        add("exp", x, exp(x / SCALE))
    ln_points = [2**48, 2**48 - 1, 2**48 + 1, 2**8, 32 * 2**48 - 1, 2**47, 398065729532860, 398065729532861]
    ln_points += [int(2 ** rng.uniform(8, 53)) for _ in range(200)]
    for x in ln_points:
        add("ln", x, log(x / SCALE))
    sqrt_points = [0, 1, 2, 3, 2**48, 2**53 - 1, 2**48 - 1] + [int(2 ** rng.uniform(0, 53)) for _ in range(150)]
    for x in sqrt_points:
        add("sqrt", x, sqrt(x / SCALE))
    cdf_points = [0, 1, -1, 8 * 2**48 - 1, -(8 * 2**48) + 1, 8 * 2**48, -8 * 2**48]
    cdf_points += [int(rng.uniform(-9, 9) * 2**48) for _ in range(250)]
    for x in cdf_points:
        add("normalCdf", x, cdf(x / SCALE))
    return cases


def options(rng):
    inputs = []
    for strike_per_forward in ("0.01", "0.05", "0.25", "0.5", "0.8", "0.95", "0.999", "1", "1.001", "1.05", "1.25", "2", "4", "20", "100"):
        for deviation in ("0", "1e-9", "1e-6", "1e-4", "0.001", "0.01", "0.05", "0.1", "0.3", "0.7", "1", "2", "4", "7", "10"):
            inputs.append((10**12, int(10**12 * mpf(strike_per_forward)), int(mpf(deviation) * SCALE)))
    for _ in range(600):
        forward = int(10 ** rng.uniform(6, 13))
        strike = max(1, int(forward * 10 ** rng.uniform(-2, 2)))
        inputs.append((forward, strike, int(10 ** rng.uniform(-7, 1) * 2**48)))
    for _ in range(200):  # near the money and short dated, where cancellation is worst
        forward = int(10 ** rng.uniform(9, 13))
        deviation = 10 ** rng.uniform(-8, -1)
        inputs.append((forward, int(forward * (1 + deviation * rng.uniform(-4, 4))), int(deviation * 2**48)))
    for _ in range(150):  # beyond the promised moneyness, up to 4096
        forward = int(10 ** rng.uniform(8, 11))
        ratio = 2 ** rng.uniform(6.7, 12)
        inputs.append((forward, int(forward * ratio if rng.random() < 0.5 else forward / ratio), int(10 ** rng.uniform(-2, 1) * 2**48)))
    cases = []
    for forward, strike, deviation in inputs:
        f, k, v = mpf(forward), mpf(strike), mpf(deviation) / SCALE
        call, put = black76(f, k, v, True) / f, black76(f, k, v, False) / f
        cases.append({
            "forward": str(forward), "strike": str(strike), "deviation": str(deviation),
            "call": str(q48(call)), "put": str(q48(put)),
            "callDecimal": nstr(call, 65), "putDecimal": nstr(put, 65),
        })
    return cases


def write(name, comment, cases):
    OUT.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    header = json.dumps({"generator": "tools/reference/black76.py", "seed": SEED, "comment": comment})[:-1]
    (OUT / name).write_text(f'{header}, "cases": [\n{lines}\n]}}\n')
    print(name, len(cases))


if __name__ == "__main__":
    rng = random.Random(SEED)
    write("functions.json", "x and expected: Q48 integers, expected rounded down; decimal: 65 digits", functions(rng))
    write("black76.json", "forward, strike: one integer unit; deviation = sigma sqrt(T), Q48; call, put: Q48 of the forward, rounded down", options(rng))
