// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "./Cells.sol";
import {FixedPoint} from "./FixedPoint.sol";
import {RiskParameters} from "./RiskParameters.sol";
import {SignedWords} from "./SignedWords.sol";

/// @notice One expiry's surface: the eight integers, in the order of the encoding, that underlying cells and reports carry.
struct ExpirySurface {
    int256 expiryMs;
    int256 forward;
    int256 realisedAverage;
    int256 a;
    int256 b;
    int256 rho;
    int256 m;
    int256 s;
}

/// @notice What rows read of an underlying's cell.
struct Market {
    int256 reportMs;
    int256 index;
    int256 premiumEma;
    ExpirySurface[] surfaces;
}

/// @notice Per lot, micro-USDC, each below 2^40 when the instrument's row was computed.
struct LotCharges {
    int256 shortAddOn;
    int256 longAddOn;
    int256 concentrationAddOn;
    int256 feePerLot;
}

/// @title Scenario rows
/// @notice An instrument's value per lot under every scenario: the integers and refusals of
/// packages/ledger/src/risk/rows.ts, which docs/spec/fixed-point.md explains. `prepare` once for an expiry and a lot, then
/// `price` each instrument of both.
/// @dev Warning: unchecked. Parameters are valid (RiskParametersDecoder), integers of cells below 2^53 in size, u64 not
/// negative. Lot units are 1/4096 micro-USDC and below 2^52 wherever they multiply; Q48 operands below 2^54: every product
/// here stays below 2^170.
library ScenarioRows {
    uint256 internal constant SCENARIO_COUNT = 39;
    uint256 private constant SPOT_MOVE_COUNT = 9;
    uint256 private constant TAIL_MOVE_COUNT = 8;
    uint256 private constant TAIL_SCENARIO_FIRST = 27;
    uint256 private constant ROLL_SCENARIO_FIRST = 35;
    uint256 private constant SKEW_SCENARIO_FIRST = 37;
    uint256 private constant FORWARD_COUNT = 19;
    uint256 private constant TAIL_FORWARD = 9;
    uint256 private constant ROLL_FORWARD = 17;

    uint256 private constant KIND_SPOT = 0;

    // Why a row cannot be computed; 0 = it was.
    uint256 internal constant REFUSED_NONE = 0;
    uint256 internal constant REFUSED_KIND_WITHOUT_ROW = 1;
    uint256 internal constant REFUSED_NO_SURFACE = 2;
    /// @notice Expiry further than EXPIRY_HORIZON_MS after the report.
    uint256 internal constant REFUSED_HORIZON = 3;
    /// @notice A surface parameter outside its range.
    uint256 internal constant REFUSED_SURFACE = 4;
    /// @notice Inside the averaging window without a realised average.
    uint256 internal constant REFUSED_REALISED_AVERAGE = 5;
    /// @notice Index, forward or strike: the value of a lot is 0 or reaches 2^40 micro-USDC in a scenario.
    uint256 internal constant REFUSED_LOT_VALUE = 6;
    /// @notice Strike and forward differ by a factor above 2^24.
    uint256 internal constant REFUSED_MONEYNESS = 7;

    int256 internal constant LOT_NANO_COIN_MAX = 2 ** 40;
    uint256 private constant LOT_UNIT_SHIFT = 12;
    int256 private constant LOT_UNITS_LIMIT = 2 ** 52;
    int256 private constant BILLION = 1_000_000_000;
    int256 private constant DAY_MS = 86_400_000;
    int256 private constant YEAR_MS = 365 * DAY_MS;
    int256 private constant EXPIRY_HORIZON_MS = 4 * YEAR_MS;
    int256 private constant ONE = FixedPoint.ONE;
    int256 private constant EIGHT = 8 * ONE;
    int256 private constant VARIANCE_Q46_MAX = 31 * 2 ** 46;
    /// @dev Surface parameters in ppb.
    int256 private constant A_MAX = 30 * BILLION;
    int256 private constant B_MAX = 1000 * BILLION;
    int256 private constant RHO_MAX = BILLION;
    int256 private constant M_MAX = 4 * BILLION;
    int256 private constant S_MAX = 4 * BILLION;

    // Places in Pricer.deviations, so that those priced together are neighbours.
    uint256 private constant UNCHANGED = 0;
    uint256 private constant UP = 1;
    uint256 private constant SKEWED = 3;

    /// @notice What the instruments of an expiry and lot share, and the workspace of one of them.
    struct Pricer {
        int256 lotNanoCoin;
        /// Of the surface, micro-USD. This and what follows up to the forwards no perpetual uses or changes.
        int256 forward;
        int256 rootOfTime;
        int256 upFactor;
        int256 downFactor;
        int256 a46;
        int256 b38;
        int256 rho;
        int256 m;
        int256 quarterS;
        /// Shocked forwards in lot units: spot moves, tails, roll up, roll down.
        int256[FORWARD_COUNT] forwards;
        /// Of the option at hand: strike in lot units, σ√T unchanged, up, down, skewed up, skewed down.
        int256 strike;
        bool isCall;
        int256[5] deviations;
    }

    // ── cells ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice What rows read of the underlying's cell in memory at `cell`.
    function marketOf(uint256 cell) internal pure returns (Market memory market) {
        unchecked {
            market.reportMs = Cells.readSigned64(cell + Cells.UNDERLYING_REPORT_MS);
            market.index = Cells.readSigned64(cell + Cells.UNDERLYING_INDEX);
            market.premiumEma = Cells.readSigned64(cell + Cells.UNDERLYING_PREMIUM_EMA);
            uint256 count = Cells.read8(cell + Cells.UNDERLYING_SURFACE_COUNT);
            market.surfaces = surfacesAt(cell + Cells.UNDERLYING_SURFACES, count);
        }
    }

    /// @notice `count` encoded surfaces in memory at `source`.
    function surfacesAt(uint256 source, uint256 count) internal pure returns (ExpirySurface[] memory surfaces) {
        unchecked {
            surfaces = new ExpirySurface[](count);
            for (uint256 i = 0; i < count; ++i) {
                ExpirySurface memory surface = surfaces[i];
                uint256 target;
                assembly ("memory-safe") {
                    target := surface
                }
                SignedWords.decode(source + Cells.SURFACE_BYTES * i, 8, target);
            }
        }
    }

    // ── preparation ────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice For futures and options of `expiryMs`, or for the perpetual (expiryMs 0).
    function prepare(
        Pricer memory pricer,
        RiskParameters memory parameters,
        Market memory market,
        int256 expiryMs,
        int256 lotNanoCoin
    ) internal pure returns (uint256 refusal) {
        unchecked {
            if (lotNanoCoin < 1 || lotNanoCoin > LOT_NANO_COIN_MAX) return REFUSED_LOT_VALUE;
            pricer.lotNanoCoin = lotNanoCoin;
            if (expiryMs == 0) return preparePerpetual(pricer, parameters, market);
            (bool found, ExpirySurface memory surface) = surfaceOf(market, expiryMs);
            if (!found) return REFUSED_NO_SURFACE;
            if (!surfaceInRange(surface)) return REFUSED_SURFACE;
            int256 leftMs = expiryMs > market.reportMs ? expiryMs - market.reportMs : int256(0);
            if (leftMs > EXPIRY_HORIZON_MS) return REFUSED_HORIZON;
            if (leftMs < parameters.averagingWindowMs && surface.realisedAverage == 0) return REFUSED_REALISED_AVERAGE;
            prepareTime(pricer, parameters, leftMs);
            pricer.forward = surface.forward;
            // |a|, |m|, s ≤ 2^35 and b ≤ 2^40, times at most 2^48.
            pricer.a46 = FixedPoint.mulDivFloor(surface.a, 2 ** 46, BILLION);
            pricer.b38 = FixedPoint.mulDivFloor(surface.b, 2 ** 38, BILLION);
            pricer.rho = q48OfPpb(surface.rho);
            pricer.m = q48OfPpb(surface.m);
            pricer.quarterS = q48OfPpb(surface.s) >> 2;
            return prepareForwards(pricer, parameters, surface, leftMs);
        }
    }

    function surfaceOf(Market memory market, int256 expiryMs)
        private
        pure
        returns (bool found, ExpirySurface memory surface)
    {
        unchecked {
            ExpirySurface[] memory surfaces = market.surfaces;
            for (uint256 i = 0; i < surfaces.length; ++i) {
                if (surfaces[i].expiryMs == expiryMs) return (true, surfaces[i]);
            }
        }
    }

    function surfaceInRange(ExpirySurface memory surface) internal pure returns (bool) {
        return surface.a >= -A_MAX && surface.a <= A_MAX && surface.b >= 0 && surface.b <= B_MAX
            && surface.rho >= -RHO_MAX && surface.rho <= RHO_MAX && surface.m >= -M_MAX && surface.m <= M_MAX
            && surface.s >= 0 && surface.s <= S_MAX;
    }

    function preparePerpetual(Pricer memory pricer, RiskParameters memory parameters, Market memory market)
        private
        pure
        returns (uint256)
    {
        unchecked {
            int256 index = lotUnits(market.index, pricer.lotNanoCoin);
            if (index == 0) return REFUSED_LOT_VALUE;
            int256 bound = parameters.premiumClampPpb;
            int256 mark = index * (BILLION + clamp(-bound, market.premiumEma, bound)) / BILLION;
            return moveForwards(pricer, parameters, 0, mark, 0);
        }
    }

    /// @dev √T and the volatility factors. Before the averaging window the variance time is T − 2W/3, inside it τ³/(3W²).
    function prepareTime(Pricer memory pricer, RiskParameters memory parameters, int256 leftMs) private pure {
        unchecked {
            int256 windowMs = parameters.averagingWindowMs;
            if (leftMs >= windowMs) {
                // leftMs < 2^37, times 3·2^48.
                pricer.rootOfTime = FixedPoint.sqrtQ48((3 * leftMs - 2 * windowMs) * ONE / (3 * YEAR_MS));
            } else {
                // √(τ³/(3W²)) = (τ/W)·√(τ/3): the cube itself would vanish in the last second.
                pricer.rootOfTime =
                    FixedPoint.mulQ48(leftMs * ONE / windowMs, FixedPoint.sqrtQ48(leftMs * ONE / (3 * YEAR_MS)));
            }
            int256 referenceMs = parameters.volatilityReferenceDays * DAY_MS;
            int256 power =
                q48OfPpb(leftMs < referenceMs ? parameters.volatilityPowerShortPpb : parameters.volatilityPowerLongPpb);
            // reference/days within [1/1460, 31] and |power·ln| ≤ 0.5·7.3 where it is negative, ≤ 1.72 else: inside the domains
            // of ln and exp.
            int256 ratio = referenceMs * ONE / (leftMs > DAY_MS ? leftMs : DAY_MS);
            int256 scale = FixedPoint.expQ48(FixedPoint.mulQ48(power, FixedPoint.lnQ48(ratio)));
            pricer.upFactor = ONE + FixedPoint.mulQ48(q48OfPpb(parameters.volatilityUpPpb), scale);
            int256 down = ONE - FixedPoint.mulQ48(q48OfPpb(parameters.volatilityDownPpb), scale);
            pricer.downFactor = down > 0 ? down : int256(0);
        }
    }

    function prepareForwards(
        Pricer memory pricer,
        RiskParameters memory parameters,
        ExpirySurface memory surface,
        int256 leftMs
    ) private pure returns (uint256) {
        unchecked {
            int256 forward = lotUnits(surface.forward, pricer.lotNanoCoin);
            if (forward == 0) return REFUSED_LOT_VALUE;
            int256 roll = FixedPoint.mulQ48(q48OfPpb(parameters.rollPpbPerYear), leftMs * ONE / YEAR_MS);
            int256 rollMin = q48OfPpb(parameters.rollMinPpb);
            if (roll < rollMin) roll = rollMin;
            int256 windowMs = parameters.averagingWindowMs;
            if (leftMs >= windowMs) return moveForwards(pricer, parameters, 0, forward, roll);
            int256 average = lotUnits(surface.realisedAverage, pricer.lotNanoCoin);
            if (average == 0) return REFUSED_LOT_VALUE;
            int256 realised = average * (windowMs - leftMs) / windowMs;
            return moveForwards(pricer, parameters, realised, forward * leftMs / windowMs, roll);
        }
    }

    /// @dev realised + unrealised·(1 + move) for every move. Factors lie within [0.01, 11], roll ≤ 0.8: nothing is negative,
    /// so plain division is floor.
    function moveForwards(
        Pricer memory pricer,
        RiskParameters memory parameters,
        int256 realised,
        int256 unrealised,
        int256 roll
    ) private pure returns (uint256) {
        unchecked {
            int256[FORWARD_COUNT] memory forwards = pricer.forwards;
            int256[9] memory spotMoves = parameters.spotMovesPpb;
            int256[8] memory tailMoves = parameters.tailMovesPpb;
            for (uint256 j = 0; j < SPOT_MOVE_COUNT; ++j) {
                forwards[j] = realised + unrealised * (BILLION + spotMoves[j]) / BILLION;
            }
            for (uint256 j = 0; j < TAIL_MOVE_COUNT; ++j) {
                forwards[TAIL_FORWARD + j] = realised + unrealised * (BILLION + tailMoves[j]) / BILLION;
            }
            forwards[ROLL_FORWARD] = realised + FixedPoint.mulQ48(unrealised, ONE + roll);
            forwards[ROLL_FORWARD + 1] = realised + FixedPoint.mulQ48(unrealised, ONE - roll);
            for (uint256 j = 0; j < FORWARD_COUNT; ++j) {
                if (forwards[j] < 1 || forwards[j] >= LOT_UNITS_LIMIT) return REFUSED_LOT_VALUE;
            }
            return REFUSED_NONE;
        }
    }

    // ── prices ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Writes SCENARIO_COUNT values to the front of `row` (which has at least that length) when the result is 0; else
    /// what `row` holds means nothing.
    /// @dev Warning: `pricer` has been prepared, without refusal, for the instrument's expiry and lot.
    function price(
        Pricer memory pricer,
        RiskParameters memory parameters,
        uint256 kind,
        int256 strikeMicroUsd,
        int256[] memory row
    ) internal pure returns (uint256 refusal) {
        unchecked {
            if (kind == KIND_SPOT) return REFUSED_KIND_WITHOUT_ROW;
            uint256 values;
            assembly ("memory-safe") {
                values := add(row, 0x20)
            }
            if (isOption(kind)) {
                pricer.isCall = kind == Cells.KIND_CALL;
                refusal = optionValues(pricer, parameters, strikeMicroUsd, values);
                if (refusal != REFUSED_NONE) return refusal;
            } else {
                linearValues(pricer, values);
            }
            int256 mark = load(values, 0);
            int256 damping = parameters.tailDampingPpb;
            int256[8] memory tailMoves = parameters.tailMovesPpb;
            for (uint256 j = 0; j < TAIL_MOVE_COUNT; ++j) {
                int256 move = tailMoves[j];
                int256 value = load(values, TAIL_SCENARIO_FIRST + j);
                value = mark + FixedPoint.mulDivFloor(value - mark, damping, move < 0 ? -move : move);
                store(values, TAIL_SCENARIO_FIRST + j, value);
            }
            // Lot units to micro-USDC.
            for (uint256 s = 0; s < SCENARIO_COUNT; ++s) {
                store(values, s, load(values, s) >> LOT_UNIT_SHIFT);
            }
        }
    }

    function linearValues(Pricer memory pricer, uint256 values) private pure {
        unchecked {
            int256[FORWARD_COUNT] memory forwards = pricer.forwards;
            for (uint256 s = 0; s < TAIL_SCENARIO_FIRST; ++s) {
                store(values, s, forwards[s / 3]);
            }
            for (uint256 s = TAIL_SCENARIO_FIRST; s < SKEW_SCENARIO_FIRST; ++s) {
                store(values, s, forwards[TAIL_FORWARD + s - TAIL_SCENARIO_FIRST]);
            }
            store(values, SKEW_SCENARIO_FIRST, forwards[0]);
            store(values, SKEW_SCENARIO_FIRST + 1, forwards[0]);
        }
    }

    function optionValues(Pricer memory pricer, RiskParameters memory parameters, int256 strikeMicroUsd, uint256 values)
        private
        pure
        returns (uint256)
    {
        unchecked {
            int256 strike = lotUnits(strikeMicroUsd, pricer.lotNanoCoin);
            if (strike == 0) return REFUSED_LOT_VALUE;
            int256[FORWARD_COUNT] memory forwards = pricer.forwards;
            for (uint256 j = 0; j < FORWARD_COUNT; ++j) {
                if (forwards[j] > strike << 24 || strike > forwards[j] << 24) return REFUSED_MONEYNESS;
            }
            (int256 low, int256 high) =
                strikeMicroUsd < pricer.forward ? (strikeMicroUsd, pricer.forward) : (pricer.forward, strikeMicroUsd);
            int256 ratio = FixedPoint.divQ48(low, high);
            if (ratio < FixedPoint.RATIO_MIN) return REFUSED_MONEYNESS;
            int256 k = FixedPoint.lnQ48(ratio);
            if (strikeMicroUsd >= pricer.forward) k = -k;
            pricer.strike = strike;
            prepareDeviations(pricer, parameters, k);
            for (uint256 j = 0; j < SPOT_MOVE_COUNT; ++j) {
                priceAt(pricer, forwards[j], UNCHANGED, 3, values + 96 * j);
            }
            for (uint256 j = 0; j < TAIL_MOVE_COUNT; ++j) {
                priceAt(pricer, forwards[TAIL_FORWARD + j], UP, 1, values + 32 * (TAIL_SCENARIO_FIRST + j));
            }
            priceAt(pricer, forwards[ROLL_FORWARD], UNCHANGED, 1, values + 32 * ROLL_SCENARIO_FIRST);
            priceAt(pricer, forwards[ROLL_FORWARD + 1], UNCHANGED, 1, values + 32 * (ROLL_SCENARIO_FIRST + 1));
            priceAt(pricer, forwards[0], SKEWED, 2, values + 32 * SKEW_SCENARIO_FIRST);
            return REFUSED_NONE;
        }
    }

    /// @dev σ√T under each volatility move: σ < 2^52, factors < 5.46·2^48, √T ≤ 2^49.
    function prepareDeviations(Pricer memory pricer, RiskParameters memory parameters, int256 k) private pure {
        unchecked {
            int256 low = q48OfPpb(parameters.volatilityMinPpb);
            int256 high = q48OfPpb(parameters.volatilityShockedMaxPpb);
            int256 sigma = clamp(low, surfaceVolatility(pricer, k), q48OfPpb(parameters.volatilityBaseMaxPpb));
            int256 root = pricer.rootOfTime;
            int256 up = clamp(low, FixedPoint.mulQ48(sigma, pricer.upFactor), high);
            int256 floor = q48OfPpb(parameters.volatilityUpFloorPpb);
            int256 down = clamp(low, FixedPoint.mulQ48(sigma, pricer.downFactor), high);
            int256[5] memory deviations = pricer.deviations;
            deviations[0] = FixedPoint.mulQ48(sigma, root);
            deviations[1] = FixedPoint.mulQ48(up > floor ? up : floor, root);
            deviations[2] = FixedPoint.mulQ48(down, root);
            int256 span = q48OfPpb(parameters.skewSpanPpb);
            int256 tilt =
                FixedPoint.mulQ48(q48OfPpb(parameters.skewPpb), FixedPoint.divQ48(clamp(-span, k, span), span));
            deviations[3] = FixedPoint.mulQ48(clamp(low, FixedPoint.mulQ48(sigma, ONE + tilt), high), root);
            deviations[4] = FixedPoint.mulQ48(clamp(low, FixedPoint.mulQ48(sigma, ONE - tilt), high), root);
        }
    }

    /// @dev σ of the unshocked surface at log-moneyness k (sticky strike), before its clamp. |k| ≤ 8, |m| ≤ 4: |z| ≤ 12 and
    /// wing < 25 at scale 2^48, b38 < 2^48.
    function surfaceVolatility(Pricer memory pricer, int256 k) private pure returns (int256) {
        unchecked {
            int256 z = clamp(-EIGHT, k, EIGHT) - pricer.m;
            int256 quarter = z >> 2;
            int256 quarterS = pricer.quarterS;
            int256 root =
                4 * FixedPoint.sqrtQ48(FixedPoint.mulQ48(quarter, quarter) + FixedPoint.mulQ48(quarterS, quarterS));
            int256 wing = FixedPoint.mulQ48(pricer.rho, z) + root;
            int256 slope = wing > 0 ? FixedPoint.mulQ48(wing, pricer.b38) : int256(0);
            int256 variance46 = pricer.a46 + (slope < 2 ** 44 ? slope : int256(2 ** 44)) * 256;
            return FixedPoint.sqrtQ48(clamp(0, variance46, VARIANCE_Q46_MAX) * 4);
        }
    }

    /// @dev Values of the option at one forward under `count` deviations from `first` on, which share the logarithm; to memory
    /// at `target`.
    function priceAt(Pricer memory pricer, int256 forward, uint256 first, uint256 count, uint256 target) private pure {
        unchecked {
            int256 strike = pricer.strike;
            int256 intrinsic = pricer.isCall ? forward - strike : strike - forward;
            if (intrinsic < 0) intrinsic = 0;
            (int256 low, int256 high) = forward < strike ? (forward, strike) : (strike, forward);
            int256 ratio = FixedPoint.divQ48(low, high);
            int256 logOfRatio = FixedPoint.lnQ48(ratio);
            uint256 source;
            int256[5] memory deviations = pricer.deviations;
            assembly ("memory-safe") {
                source := add(deviations, shl(5, first))
            }
            for (uint256 i = 0; i < count; ++i) {
                int256 value = FixedPoint.outOfTheMoneyFromLogQ48(ratio, logOfRatio, load(source, i));
                // value ≤ 1, high < 2^52.
                store(target, i, intrinsic + FixedPoint.mulQ48(value, high));
            }
        }
    }

    // ── charges ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Index value of a lot, ceil; then each share of it, ceil: against the account. `isPriced` false when the index
    /// value is 0 or reaches 2^40.
    function lotChargesOf(RiskParameters memory parameters, uint256 kind, int256 lotNanoCoin, int256 index)
        internal
        pure
        returns (bool isPriced, LotCharges memory charges)
    {
        unchecked {
            if (lotNanoCoin > LOT_NANO_COIN_MAX || lotUnits(index, lotNanoCoin) == 0) return (false, charges);
            // index·lot < 2^93, value ≤ 2^40.
            int256 value = FixedPoint.mulDivCeil(index, lotNanoCoin, BILLION);
            bool option = isOption(kind);
            charges.shortAddOn = FixedPoint.mulDivCeil(
                value, option ? parameters.optionShortAddOnPpb : parameters.linearAddOnPpb, BILLION
            );
            charges.longAddOn = FixedPoint.mulDivCeil(
                value, option ? parameters.optionLongAddOnPpb : parameters.linearAddOnPpb, BILLION
            );
            charges.concentrationAddOn = FixedPoint.mulDivCeil(value, parameters.concentrationPpb, BILLION);
            charges.feePerLot = FixedPoint.mulDivCeil(value, parameters.takerFeePpb, BILLION);
            return (true, charges);
        }
    }

    // ── parts ──────────────────────────────────────────────────────────────────────────────────────────────────────

    function isOption(uint256 kind) internal pure returns (bool) {
        return kind == Cells.KIND_CALL || kind == Cells.KIND_PUT;
    }

    /// @dev floor(price·lot·4096 / 1e9) lot units, or 0 outside [1, 2^52). price < 2^53, lot ≤ 2^40: below 2^105.
    function lotUnits(int256 priceMicroUsd, int256 lotNanoCoin) private pure returns (int256 units) {
        unchecked {
            units = ((priceMicroUsd * lotNanoCoin) << LOT_UNIT_SHIFT) / BILLION;
            if (units >= LOT_UNITS_LIMIT || units < 0) units = 0;
        }
    }

    /// @dev floor(ppb·2^48 / 1e9), |ppb| < 2^53.
    function q48OfPpb(int256 ppb) private pure returns (int256) {
        return FixedPoint.mulDivFloor(ppb, ONE, BILLION);
    }

    function clamp(int256 low, int256 value, int256 high) private pure returns (int256) {
        return value < low ? low : value > high ? high : value;
    }

    function load(uint256 words, uint256 index) private pure returns (int256 value) {
        assembly ("memory-safe") {
            value := mload(add(words, shl(5, index)))
        }
    }

    function store(uint256 words, uint256 index, int256 value) private pure {
        assembly ("memory-safe") {
            mstore(add(words, shl(5, index)), value)
        }
    }
}
