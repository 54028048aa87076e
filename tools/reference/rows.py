"""Independent reference of scenario rows: the rules of the risk specification in real numbers (mpmath, 50 digits).

Writes vectors/rows/rows.json: inputs as integer strings, expected values per lot in micro-USDC as decimal strings.

    pip install mpmath && python3 tools/reference/rows.py
"""
import json
import random
from pathlib import Path
from mpmath import mp, mpf, erfc, log, sqrt, nstr

mp.dps = 50
SEED = 20240616
OUT = Path(__file__).resolve().parents[2] / "vectors" / "rows"
YEAR_DAYS = mpf(365)
DAY = 86_400_000
BILLION = mpf(10) ** 9

SPOT_MOVES = [0, -16, -12, -8, -4, 4, 8, 12, 16]
TAILS = [-66, -50, -33, -25, 50, 100, 200, 500]
VOL_UP, VOL_DOWN, VOL_DAYS, POWER_SHORT, POWER_LONG = mpf("0.5"), mpf("0.25"), 30, mpf("0.3"), mpf("0.13")
UP_FLOOR, VOL_MIN, BASE_MAX, SHOCKED_MAX = mpf("0.5"), mpf("0.05"), mpf(5), mpf(10)
DAMPING, ROLL_YEAR, ROLL_MIN, SKEW, SKEW_SPAN = mpf("0.16"), mpf("0.075"), mpf("0.01"), mpf("0.1"), mpf("0.5")
WINDOW = 1_800_000
PREMIUM_CLAMP = mpf("0.005")


def clamp(low, x, high):
    return max(low, min(x, high))


def cdf(x):
    return erfc(-x / sqrt(mpf(2))) / 2


def black76(forward, strike, deviation, is_call):
    sign = 1 if is_call else -1
    if deviation == 0:
        return max(mpf(0), sign * (forward - strike))
    d1 = log(forward / strike) / deviation + deviation / 2
    return sign * (forward * cdf(sign * d1) - strike * cdf(sign * (d1 - deviation)))


def sigma_of(surface, strike):
    a, b, rho, m, s = (mpf(surface[n]) / BILLION for n in ("a", "b", "rho", "m", "s"))
    k = log(mpf(strike) / surface["forward"])
    z = clamp(mpf(-8), k, mpf(8)) - m
    return clamp(VOL_MIN, sqrt(max(mpf(0), a + b * (rho * z + sqrt(z * z + s * s)))), BASE_MAX), k


def row(kind, strike, expiry, lot, underlying, surface):
    per_lot = mpf(lot) / BILLION
    if kind == 1:
        mark = mpf(underlying["index"]) * (1 + clamp(-PREMIUM_CLAMP, mpf(underlying["premiumEma"]) / BILLION, PREMIUM_CLAMP))

    left = max(0, expiry - underlying["reportMs"])
    days = mpf(left) / DAY
    years = days / YEAR_DAYS
    if left >= WINDOW:
        weight, time = mpf(0), (mpf(left) - 2 * mpf(WINDOW) / 3) / DAY / YEAR_DAYS
    else:
        weight, time = 1 - mpf(left) / WINDOW, mpf(left) ** 3 / (3 * mpf(WINDOW) ** 2) / DAY / YEAR_DAYS

    def value(move, vol, roll=0, skew=0):
        if kind == 1:
            return mark * (1 + move) * per_lot
        factor = 1 + move + roll * max(ROLL_YEAR * years, ROLL_MIN)
        forward = surface["realisedAverage"] * weight + surface["forward"] * (1 - weight) * factor
        if kind == 2:
            return forward * per_lot
        sigma, k = sigma_of(surface, strike)
        scale = (VOL_DAYS / max(days, mpf(1))) ** (POWER_SHORT if days < VOL_DAYS else POWER_LONG)
        if vol > 0:
            sigma = max(clamp(VOL_MIN, sigma * (1 + VOL_UP * scale), SHOCKED_MAX), UP_FLOOR)
        if vol < 0:
            sigma = clamp(VOL_MIN, sigma * (1 - VOL_DOWN * scale), SHOCKED_MAX)
        if skew:
            sigma = clamp(VOL_MIN, sigma * (1 + skew * SKEW * clamp(mpf(-1), k / SKEW_SPAN, mpf(1))), SHOCKED_MAX)
        return black76(forward, mpf(strike), sigma * sqrt(time), kind == 3) * per_lot

    values = [value(mpf(move) / 100, vol) for move in SPOT_MOVES for vol in (0, 1, -1)]
    for tail in TAILS:
        move = mpf(tail) / 100
        values.append(values[0] + DAMPING / abs(move) * (value(move, 1) - values[0]))
    values += [value(mpf(0), 0, roll=roll) for roll in (1, -1)]
    values += [value(mpf(0), 0, skew=skew) for skew in (1, -1)]
    return values


def cases(rng):
    now = 1_760_000_000_000
    times = [0, 1, 1000, 60_000, 900_000, 1_799_999, 1_800_000, 1_800_001, 3_600_000, DAY - 1, DAY, 3 * DAY,
             30 * DAY - 1, 30 * DAY, 90 * DAY, 400 * DAY, 1400 * DAY]
    for i in range(150):
        price = rng.choice([67_000_000_000, 3_100_000_000, 145_000_000, 610_000])
        lot = {67_000_000_000: 10_000_000, 3_100_000_000: 100_000_000, 145_000_000: 10**9, 610_000: 10**12}[price]
        left = times[i % len(times)]
        index = int(price * rng.uniform(0.6, 1.6))
        forward = int(index * rng.uniform(0.97, 1.05))
        surface = {
            "expiryMs": now + left, "forward": forward,
            "realisedAverage": int(index * rng.uniform(0.98, 1.02)) if left < WINDOW else 0,
            "a": rng.randint(10_000_000, 600_000_000), "b": rng.choice([rng.randint(0, 10**9), rng.randint(0, 2 * 10**10)]),
            "rho": rng.randint(-900_000_000, 900_000_000), "m": rng.randint(-300_000_000, 300_000_000),
            "s": rng.randint(10_000_000, 800_000_000),
        }
        kind = rng.choice([1, 2, 3, 3, 3, 3, 4, 4, 4, 4])
        strike = int(forward * 10 ** rng.choice([rng.uniform(-2, 2), rng.uniform(-0.2, 0.2)])) if kind > 2 else 0
        underlying = {"index": index, "premiumEma": rng.randint(-9_000_000, 9_000_000), "reportMs": now}
        expiry = 0 if kind == 1 else now + left
        yield {
            "kind": kind, "strike": str(strike), "expiryMs": str(expiry), "lotNanoCoin": str(lot),
            "underlying": {name: str(value) for name, value in underlying.items()},
            "surface": {name: str(value) for name, value in surface.items()},
            "row": [nstr(value, 40) for value in row(kind, strike, expiry, lot, underlying, surface)],
        }


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join("  " + json.dumps(case) for case in cases(random.Random(SEED)))
    comment = "default risk parameters, version 1; kind 1 perpetual, 2 future, 3 call, 4 put; row: micro-USDC per lot, exact"
    head = json.dumps({"generator": "tools/reference/rows.py", "seed": SEED, "comment": comment})[:-1]
    (OUT / "rows.json").write_text(f'{head}, "cases": [\n{lines}\n]}}\n')
