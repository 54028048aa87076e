// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FixedPointMathLib} from "solady/src/utils/FixedPointMathLib.sol";

/// @title Pricing arithmetic
/// @notice The integers of packages/num/src/fixed.reference.ts (docs/spec/fixed-point.md): a value x is x·2^48, every
/// rounding is down.
/// @dev Warning: nothing here reverts or checks. Each function names the domain in which it equals the specification
/// and in which no product leaves int256; outside it the answer is some integer. Comments bound magnitudes by powers of
/// two of the raw integers.
library FixedPoint {
    int256 internal constant ONE = 0x1000000000000;
    /// @notice Ratios of forward and strike reach down to this.
    int256 internal constant RATIO_MIN = 1 << 24;
    int256 private constant FOUR = 4 << 48;
    int256 private constant EIGHT = 8 << 48;
    int256 private constant DEVIATION_MAX = 16 << 48;
    int256 private constant LN2 = 195_103_586_505_167;
    uint256 private constant SQRT2 = 398_065_729_532_861;
    /// @dev floor(2^22 / ln 2): only for the number of halvings.
    int256 private constant INVERSE_LN2_Q22 = 6_051_101;

    // ── primitives ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice floor(a / d), d > 0.
    function divFloor(int256 a, int256 d) internal pure returns (int256 quotient) {
        assembly ("memory-safe") {
            // The remainder has the sign of a: one less where sdiv has rounded a negative quotient up.
            quotient := sub(sdiv(a, d), slt(smod(a, d), 0))
        }
    }

    /// @notice floor(a·b / d), |a·b| < 2^255, d > 0.
    function mulDivFloor(int256 a, int256 b, int256 d) internal pure returns (int256 quotient) {
        assembly ("memory-safe") {
            let product := mul(a, b)
            quotient := sub(sdiv(product, d), slt(smod(product, d), 0))
        }
    }

    /// @notice ceil(a·b / d), |a·b| < 2^255, d > 0.
    function mulDivCeil(int256 a, int256 b, int256 d) internal pure returns (int256 quotient) {
        assembly ("memory-safe") {
            let product := mul(a, b)
            quotient := add(sdiv(product, d), sgt(smod(product, d), 0))
        }
    }

    /// @notice floor(a·b / 2^48), |a·b| < 2^255.
    function mulQ48(int256 a, int256 b) internal pure returns (int256 product) {
        assembly ("memory-safe") {
            product := sar(48, mul(a, b))
        }
    }

    /// @notice floor(a·2^48 / b), |a| < 2^207, b > 0.
    function divQ48(int256 a, int256 b) internal pure returns (int256 quotient) {
        assembly ("memory-safe") {
            let dividend := shl(48, a)
            quotient := sub(sdiv(dividend, b), slt(smod(dividend, b), 0))
        }
    }

    /// @notice floor(sqrt(x·2^48)), 0 ≤ x < 2^207.
    function sqrtQ48(int256 x) internal pure returns (int256) {
        unchecked {
            return int256(FixedPointMathLib.sqrt(uint256(x << 48)));
        }
    }

    // ── functions ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice e^x, −32 ≤ x ≤ 3.
    function expQ48(int256 x) internal pure returns (int256 result) {
        // |y / 2^24| ≤ 2^29 times a 23-bit constant; −5 ≤ halvings ≤ 46, halvings·LN2 < 2^53.
        int256 halvings;
        unchecked {
            int256 y = -x;
            halvings = ((y >> 24) * INVERSE_LN2_Q22) >> 46;
            result = expPolynomial(y - halvings * LN2);
        }
        assembly ("memory-safe") {
            // The mantissa is positive, below 2^49. One of the shifts is by zero.
            let isDoubled := slt(halvings, 0)
            result := sar(mul(halvings, iszero(isDoubled)), shl(mul(sub(0, halvings), isDoubled), result))
        }
    }

    /// @notice ln x, 2^−40 ≤ x < 32.
    function lnQ48(int256 x) internal pure returns (int256 result) {
        int256 exponent;
        int256 s;
        assembly ("memory-safe") {
            // Place of the highest bit of x < 2^64, by halving the range.
            exponent := shl(5, lt(0xffffffff, x))
            exponent := or(exponent, shl(4, lt(0xffff, shr(exponent, x))))
            exponent := or(exponent, shl(3, lt(0xff, shr(exponent, x))))
            exponent := or(exponent, shl(2, lt(0xf, shr(exponent, x))))
            exponent := or(exponent, shl(1, lt(0x3, shr(exponent, x))))
            exponent := sub(or(exponent, lt(0x1, shr(exponent, x))), 48)
            // Into 1 ≤ mantissa < 2; one of the shifts is by zero. Halving bit by bit, as the specification does, drops the
            // same bits. From √2 on once more: where x was doubled to get here, that bit is 0.
            let isDoubled := slt(exponent, 0)
            let mantissa := shr(mul(exponent, iszero(isDoubled)), shl(mul(sub(0, exponent), isDoubled), x))
            let isUpper := iszero(lt(mantissa, SQRT2))
            mantissa := shr(isUpper, mantissa)
            exponent := add(exponent, isUpper)
            // |mantissa − 1| < 2^47, so |dividend| < 2^95.
            let dividend := shl(48, sub(mantissa, ONE))
            let divisor := add(mantissa, ONE)
            s := sub(sdiv(dividend, divisor), slt(smod(dividend, divisor), 0))
        }
        unchecked {
            // |s| < 2^46, |exponent| ≤ 40.
            result = mulQ48(s, lnPolynomial(mulQ48(s, s))) + exponent * LN2;
        }
    }

    /// @notice Standard normal distribution function, |z| < 2^207; 0 and 1 from |z| ≥ 8 on.
    function normalCdfQ48(int256 z) internal pure returns (int256) {
        unchecked {
            int256 y = z < 0 ? -z : z;
            int256 tail = y >= EIGHT ? int256(0) : mulQ48(gaussian(y), mills(y));
            return z <= 0 ? tail : ONE - tail;
        }
    }

    // ── Black-76 ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Undiscounted value of the out-of-the-money option in units of max(F, K), from ratio = min(F, K) / max(F, K),
    /// its logarithm and deviation = σ√T. 2^−24 ≤ ratio ≤ 1, logOfRatio = lnQ48(ratio), 0 ≤ deviation < 2^207.
    function outOfTheMoneyFromLogQ48(int256 ratio, int256 logOfRatio, int256 deviation)
        internal
        pure
        returns (int256 value)
    {
        unchecked {
            int256 v = deviation > DEVIATION_MAX ? DEVIATION_MAX : deviation;
            // The logarithm's error can leave it above 0. 0 ≤ x < 2^53.
            int256 x = logOfRatio < 0 ? -logOfRatio : int256(0);
            if (v == 0 || x >= v << 4) return 0;
            // x < 16·v and v ≤ 16: d < 2^52, u < 2^52 + 2^51.
            int256 d;
            assembly ("memory-safe") {
                d := div(shl(48, x), v)
            }
            int256 u = d + (v >> 1);
            int256 w = u - v;
            if (u >= EIGHT) return w > 0 ? int256(0) : ratio;
            // g, mills ≤ 1: products below 2^98. |w| ≤ u < 8, because −w = v/2 − d.
            int256 g = gaussian(u);
            value = w > 0 ? mulQ48(g, mills(w) - mills(u)) : ratio - mulQ48(g, mills(-w) + mills(u));
            if (value < 0) return 0;
            if (value > ratio) return ratio;
        }
    }

    /// @notice Value in the unit of `forward` and `strike`, rounded down. 0 < forward, strike < 2^52, ratio ≥ 2^−24,
    /// 0 ≤ deviation < 2^207.
    function black76(int256 forward, int256 strike, int256 deviation, bool isCall) internal pure returns (int256) {
        unchecked {
            (int256 low, int256 high) = forward < strike ? (forward, strike) : (strike, forward);
            int256 ratio = divQ48(low, high);
            int256 value = mulQ48(outOfTheMoneyFromLogQ48(ratio, lnQ48(ratio), deviation), high);
            int256 intrinsic = isCall ? forward - strike : strike - forward;
            return intrinsic > 0 ? intrinsic + value : value;
        }
    }

    // ── parts ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev e^(−y²/2), 0 ≤ y < 8: half² < 2^100, the exponent ≥ −32.
    function gaussian(int256 y) private pure returns (int256) {
        unchecked {
            int256 half = y >> 1;
            return expQ48(-2 * mulQ48(half, half));
        }
    }

    /// @dev Φ(−y)·e^(y²/2), 0 ≤ y ≤ 8: t within [−1, 1/3].
    function mills(int256 y) private pure returns (int256) {
        unchecked {
            return millsPolynomial(divQ48(y - FOUR, y + FOUR));
        }
    }

    // Horner's rule with the coefficients of packages/num/src/coefficients.ts, unrolled: a loop over a table would cost
    // three times as much. |x| ≤ 2^48 and partial sums below 2^51, so products stay below 2^99.

    function expPolynomial(int256 x) private pure returns (int256 sum) {
        assembly ("memory-safe") {
            sum := sub(sar(48, mul(54963223, x)), 740631906)
            sum := add(sar(48, mul(sum, x)), 6949390183)
            sum := sub(sar(48, mul(sum, x)), 55830259335)
            sum := add(sar(48, mul(sum, x)), 390930888950)
            sum := sub(sar(48, mul(sum, x)), 2345623253879)
            sum := add(sar(48, mul(sum, x)), 11728123801309)
            sum := sub(sar(48, mul(sum, x)), 46912496098900)
            sum := add(sar(48, mul(sum, x)), 140737488354477)
            sum := sub(sar(48, mul(sum, x)), 281474976710642)
            sum := add(sar(48, mul(sum, x)), 281474976710656)
        }
    }

    function lnPolynomial(int256 x) private pure returns (int256 sum) {
        assembly ("memory-safe") {
            sum := add(sar(48, mul(41710102230215, x)), 43098588376419)
            sum := add(sar(48, mul(sum, x)), 51182460904434)
            sum := add(sar(48, mul(sum, x)), 62549922370080)
            sum := add(sar(48, mul(sum, x)), 80421422465120)
            sum := add(sar(48, mul(sum, x)), 112589990682231)
            sum := add(sar(48, mul(sum, x)), 187649984473774)
            sum := add(sar(48, mul(sum, x)), 562949953421312)
        }
    }

    function millsPolynomial(int256 x) private pure returns (int256 sum) {
        assembly ("memory-safe") {
            sum := add(sar(48, mul(16470881, x)), 109209656)
            sum := add(sar(48, mul(sum, x)), 213925466)
            sum := sub(sar(48, mul(sum, x)), 233685343)
            sum := sub(sar(48, mul(sum, x)), 1219718175)
            sum := add(sar(48, mul(sum, x)), 1300273985)
            sum := add(sar(48, mul(sum, x)), 8064170927)
            sum := sub(sar(48, mul(sum, x)), 12822029074)
            sum := sub(sar(48, mul(sum, x)), 52687629853)
            sum := add(sar(48, mul(sum, x)), 179810082747)
            sum := add(sar(48, mul(sum, x)), 142866017142)
            sum := sub(sar(48, mul(sum, x)), 2390312377331)
            sum := add(sar(48, mul(sum, x)), 8687670017188)
            sum := sub(sar(48, mul(sum, x)), 20183840810375)
            sum := add(sar(48, mul(sum, x)), 35009647999906)
            sum := sub(sar(48, mul(sum, x)), 47962694704400)
            sum := add(sar(48, mul(sum, x)), 26574233061710)
        }
    }
}
